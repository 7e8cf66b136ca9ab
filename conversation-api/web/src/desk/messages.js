// Lists of messages, in the order of the time and the id. Nothing here changes what it is given.

export const byTime = (a, b) => a.created_at.localeCompare(b.created_at) || a.id - b.id;

/** A conversation of which nothing is known yet. `fetchedTo`: the newest message that the backend has listed. */
export const EMPTY_THREAD = {
  messages: [], before: null, fetchedTo: null, state: "loading", older: "ready", firstUnread: null,
};

/** Adds messages; one that is there already is not there twice, but knows what either of the two knows. */
export function withMessages(messages, more) {
  if (more.length === 0) return messages;
  const byId = new Map(messages.map((message) => [message.id, message]));
  let isSorted = true;
  for (const message of more) {
    const known = byId.get(message.id);
    if (!known) {
      const newest = messages.at(-1);
      isSorted &&= more.length === 1 && (!newest || byTime(newest, message) < 0);
    }
    byId.set(message.id, known ? joined(known, message) : message);
  }
  const list = [...byId.values()];
  return isSorted ? list : list.sort(byTime);
}

/** What is known of a message from two sources, of which the second may have been overtaken by the first. */
function joined(known, message) {
  const both = isBehind(message, known) ? { ...message, ...known } : { ...known, ...message };
  // An event whose text was cut to fit takes nothing back; answers are never cut.
  const whole = (known.truncated || message.truncated) && [known, message].find(({ truncated }) => !truncated);
  return whole ? { ...both, content: whole.content, truncated: false } : both;
}

/**
 * Answers and events overtake each other: of two states of a message, or a conversation, versions say which is older.
 * Events from before there were versions have none, and are older than every state that has one.
 */
export const isBehind = (state, known) => known?.version !== undefined && !(state.version >= known.version);

/** Changes those messages that `message.updated` is about. */
export function withUpdate(messages, { id, status, error, media, version }) {
  const known = messages.find((message) => message.id === id);
  if (!known || isBehind({ version }, known)) return messages;
  const update = { status, error: error ?? null };
  if (version !== undefined) update.version = version;
  if (media) update.media = media;
  return messages.map((message) => (message.id === id ? { ...message, ...update } : message));
}

/**
 * Brings a thread up to date with the newest page of messages. Where the page does not reach back to what was fetched,
 * that goes, for a gap would look like silence; it comes back when somebody scrolls up.
 */
export function caughtUpWith(thread, { data, meta }) {
  const newest = data.at(-1) ?? null;
  const reaches = data.length > 0 && thread.fetchedTo !== null && byTime(data[0], thread.fetchedTo) <= 0;
  const receivedSince = thread.messages.filter((message) => !newest || byTime(message, newest) > 0);
  const isNewer = newest && (!thread.fetchedTo || byTime(newest, thread.fetchedTo) > 0);
  return {
    ...thread,
    messages: withMessages(reaches ? thread.messages : receivedSince, data),
    before: reaches ? thread.before : meta.next_before,
    fetchedTo: isNewer ? newest : thread.fetchedTo,
  };
}

/** The id of the newest message by arrival, which is what read marks go by. */
export const lastArrived = (messages) => messages.reduce((last, { id }) => Math.max(last, id), 0);

/** The first to arrive of the customer's messages that are not read, of those that are here; null for none. */
export function firstUnread(messages, lastRead) {
  const ids = messages.filter(({ id, direction }) => direction === "inbound" && id > lastRead).map(({ id }) => id);
  return ids.length > 0 ? Math.min(...ids) : null;
}

/** Reactions by the message they are to; one person's later reaction replaces the earlier one, and an empty one ends it. */
export function reactionsOf(messages) {
  const known = new Set(messages.map(({ id }) => id));
  const byMessage = new Map();
  for (const message of messages) {
    const target = message.type === "reaction" ? message.reply_to?.message_id : null;
    if (!target || !known.has(target)) continue;
    const others = (byMessage.get(target) ?? []).filter(({ by }) => by !== (message.sender?.id ?? 0));
    const own = message.content ? [{ id: message.id, by: message.sender?.id ?? 0, emoji: message.content }] : [];
    byMessage.set(target, [...others, ...own]);
  }
  return byMessage;
}
