// The departments that a user watches, and what is written there.
import { withMessages, withUpdate } from "./messages.js";

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

/** The last messages of conversations. */
export const lastMessages = (conversations) =>
  conversations
    .filter(({ last_message }) => last_message)
    .map(({ id, last_message, contact }) => ({ ...last_message, conversation_id: id, contact }));

/** Notes whose a conversation is that is only known from events. */
export function withGlimpse(glimpses, { id, contact, department, assignee }) {
  const { [id]: known, ...others } = glimpses;
  const all = { ...others, [id]: { ...known, id, contact, department, assignee } };
  const ids = Object.keys(all);
  if (ids.length > MOST_GLIMPSES) delete all[ids[0]];
  return all;
}
