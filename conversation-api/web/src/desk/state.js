/** What the page knows before anybody is logged in. */
export const EMPTY = {
  /** Who is logged in; null for nobody. */
  user: null,
  /** What the address names; see route.js. */
  route: { view: "none", id: null },
  /** "connecting" or "connected". */
  connection: "connecting",
  /** The list, the newest first, and whether it has been fetched; null while it has not. */
  conversations: null,
  /** How many pages of it there are beyond what is here. */
  hasMore: false,
  /** The open conversation: { id, messages, before, fetchedTo, refused }; null for none. */
  thread: null,
  /** Messages on their way, by conversation: { 7: [{ key, content, failure }] }. */
  outgoing: {},
  /** Who is looking at the open conversation: { id, name, role }, and the ids of those who type there. */
  viewers: [],
  typing: [],
  /** The departments that are watched: { id, name }, and what is said there, by department. */
  departments: [],
  feeds: {},
  /** To whom one may give conversations. */
  colleagues: [],
  /** What a screen reader says next, and what went wrong last. */
  announcement: "",
  failure: "",
};
