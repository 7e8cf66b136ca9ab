// The departments that a user watches, and what is written there.
import { isBehind, withMessages, withUpdate } from "./messages.js";

/** Messages of a department that are kept on the screen. */
const MOST = 200;
/** Conversations of others of which it is kept whose they are. */
const MOST_GLIMPSES = 500;

export const EMPTY_FEED = { state: "loading", messages: [] };

/** Everybody watches their own department; those who have none watch all. */
export function departmentsOf(user, all) {
  const own = user.department_id;
  if (own === null) return all;
  return [all.find(({ id }) => id === own) ?? { id: own, name: `Department ${own}` }];
}

/** Adds messages to a feed, the newest last. */
export const withNews = (feed = EMPTY_FEED, messages) => ({
  ...feed,
  messages: withMessages(feed.messages, messages).slice(-MOST),
});

export const withFeedUpdate = (feed, update) => ({ ...feed, messages: withUpdate(feed.messages, update) });

/** Puts the whole of a message where a feed has its beginning. */
export const withWhole = (feed, message) =>
  feed.messages.some(({ id }) => id === message.id) ? withNews(feed, [message]) : feed;

/** The last messages of conversations. */
export const lastMessages = (conversations) =>
  conversations
    .filter(({ last_message }) => last_message)
    .map(({ id, last_message, contact }) => ({ ...last_message, conversation_id: id, contact }));

/** Notes the newest that events have brought of a conversation, which may be known from nothing else. */
export function withGlimpse(glimpses, description) {
  const { id } = description;
  if (isBehind(description, glimpses[id])) return glimpses;
  const all = { ...glimpses, [id]: description };
  const others = Object.keys(glimpses).filter((other) => other !== String(id));
  if (others.length >= MOST_GLIMPSES) delete all[others[0]];
  return all;
}
