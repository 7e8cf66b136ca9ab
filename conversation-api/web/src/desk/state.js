import { FIRST_QUERY, emptyList } from "./list.js";

/** Something that is fetched: `state` is "loading", "ready" or "failed". */
const NOT_FETCHED = { state: "loading", data: [] };

/** What the page knows before anybody is logged in. */
export const EMPTY = {
  /** Who is logged in; null for nobody. */
  user: null,
  /** Whether the last log-in has ended by itself. */
  hasEnded: false,
  /** What the address names; see route.js. */
  route: { view: "none", id: null },
  /** "connecting" or "connected". */
  connection: "connecting",
  /** What is known of conversations, by id; `isReadable` is false for those that are lost to us. */
  conversations: {},
  /** What is listed of them; see list.js. */
  list: emptyList(FIRST_QUERY),
  /** How many there are: { mine, unassigned, all, unread } of the list's status; null while that is not known. */
  counts: null,
  /** How many open conversations have something unread. */
  unread: 0,
  /** The open conversation: { id, state, messages, … }; see messages.js. Null for none. */
  thread: null,
  /** Messages on their way, by conversation; see outbox.js. */
  outgoing: {},
  /** Who is looking at the open conversation: { id, name, role }, the ids of those who type there, and "joining",
      "joined", "failed" or "none". */
  viewers: [],
  typing: [],
  presence: "none",
  /** The departments there are, to whom one may give conversations, and what may be sent at any time. */
  departments: NOT_FETCHED,
  colleagues: NOT_FETCHED,
  templates: NOT_FETCHED,
  /** What is written in the departments that are watched, by department: { state, messages }. */
  feeds: {},
  /** What events have brought of conversations, by id; of those that are not open to us, nothing else is known. */
  glimpses: {},
  /** What is switched on. */
  preferences: { sound: false, notifications: false, shortcuts: true },
  /** Conversations in which a message of ours was not delivered, until somebody looks; the latest last. */
  undelivered: [],
  /** What a screen reader reads next, and what went wrong last. */
  announcement: "",
  failure: "",
};
