// What was begun and not sent, by user and conversation. It outlives a reload, a log-out and the end of a log-in.
import { keysWith, load, save } from "./storage.js";

const PREFIX = "tims.draft.";
/** Drafts that one browser keeps, and for how long. */
const MOST = 60;
const LIFETIME_MS = 30 * 24 * 3_600_000;

const keyOf = (userId, conversationId) => `${PREFIX}${userId}.${conversationId}`;
const EMPTY = { text: "", mode: "text" };

/** A draft: its text, and whether it is to be a "text" or a "note". */
export function draftOf(userId, conversationId) {
  const draft = load(keyOf(userId, conversationId));
  return typeof draft?.text === "string" ? { text: draft.text, mode: draft.mode === "note" ? "note" : "text" } : EMPTY;
}

export function saveDraft(userId, conversationId, { text, mode }) {
  const key = keyOf(userId, conversationId);
  if (!text) return save(key, null);
  const isNew = load(key) === null;
  save(key, { text, mode, at: Date.now() });
  if (isNew) prune(key);
}

/** Removes what is too old, and the oldest of what is too much; the draft that is being written stays. */
function prune(kept) {
  const drafts = keysWith(PREFIX)
    .filter((key) => key !== kept)
    .map((key) => ({ key, at: load(key)?.at ?? 0 }))
    .sort((a, b) => b.at - a.at);
  const now = Date.now();
  drafts.forEach(({ key, at }, index) => {
    if (index >= MOST - 1 || now - at > LIFETIME_MS) save(key, null);
  });
}
