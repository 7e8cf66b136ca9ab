// What the list of messages is made of: days, the mark of what is unread, and messages.
import { reactionsOf } from "../desk/messages.js";
import { dayOf } from "./time.js";

/** Messages of one author this close together stand together. */
const TOGETHER_MS = 5 * 60_000;

/** The days of messages, which do not change, and are asked for whenever one is added. */
const days = new WeakMap();
function dayOfMessage(message) {
  if (!days.has(message)) days.set(message, dayOf(message.created_at));
  return days.get(message);
}

/** The rows, from the oldest to the newest: { key, day, isFirstUnread, message, follows, original, reactions }. */
export function rowsOf(messages, firstUnread) {
  const reactions = reactionsOf(messages);
  const byId = new Map(messages.map((message) => [message.id, message]));
  const rows = [];
  let previous = null;
  for (const message of messages) {
    const target = message.reply_to?.message_id;
    // A reaction is drawn at the message that it belongs to, where that is here.
    if (message.type === "reaction" && byId.has(target)) continue;
    const isNewDay = !previous || dayOfMessage(previous) !== dayOfMessage(message);
    const isFirstUnread = message.id === firstUnread;
    rows.push({
      message,
      day: isNewDay ? message.created_at : null,
      isFirstUnread,
      follows: !isNewDay && !isFirstUnread && belongTogether(previous, message),
      original: byId.get(target),
      reactions: nonEmpty(reactions.get(message.id)),
    });
    previous = message;
  }
  return rows;
}

const nonEmpty = (list) => (list?.length > 0 ? list : undefined);

function belongTogether(previous, message) {
  return (
    previous.direction === message.direction &&
    previous.sender?.id === message.sender?.id &&
    (previous.type === "note") === (message.type === "note") &&
    Date.parse(message.created_at) - Date.parse(previous.created_at) < TOGETHER_MS
  );
}
