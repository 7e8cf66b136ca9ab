// What is known of conversations and messages, and how more is added to it.
import { withFeedUpdate, withGlimpse, withNews, withWhole } from "./feeds.js";
import { isCountedAlike, listed, recount } from "./list.js";
import { byTime, isBehind, lastArrived, withMessages, withUpdate } from "./messages.js";
import { mayRead, permissions } from "./permissions.js";

/** The message that arrived last, which is not the last one where it came late. */
export const newestMessageId = (conversation) => conversation?.newest_message_id ?? 0;

/** Updates that are kept for messages that are not here yet. */
const MOST_UPDATES = 200;

/**
 * @param {object} uses
 * @param {object} uses.store the page's state
 * @param {() => void} uses.miscounted called when the counts cannot be brought up to date from here
 */
export function createRecords({ store: { get, set }, miscounted }) {
  /** Up to which message each conversation is read, also while the backend is not yet informed. */
  const readTo = new Map();

  /** How often the counts have changed, or should have. */
  let recounts = 0;

  const known = (id) => get().conversations[id];

  /** The newest that is known of a conversation, of which events may have come before every answer. */
  function newest(id) {
    const [answer, glimpse] = [known(id), get().glimpses[id]];
    return answer && !isBehind(answer, glimpse) ? answer : glimpse;
  }

  /** Puts a conversation in the place of what was known of it. */
  function put(conversation) {
    const before = known(conversation.id);
    if (!isCountedAlike(before, conversation)) recounts += 1;
    set((state) => {
      const { user, list } = state;
      const conversations = { ...state.conversations, [conversation.id]: conversation };
      if (!before) return { conversations };
      const unread = recount({ unread: state.unread, mine: 0, unassigned: 0, all: 0 }, before, conversation, user, "open");
      const counts = recount(state.counts, before, conversation, user, list.query.status);
      return { conversations, counts, unread: unread.unread };
    });
    if (!before) miscount();
  }

  function miscount() {
    recounts += 1;
    miscounted();
  }

  const change = (id, changes) => known(id) && put({ ...known(id), ...changes });

  /** An answer may have been overtaken by events: then it is not asked what they have brought. */
  function fetched(conversation) {
    const before = known(conversation.id);
    const isOvertaken = before && newestMessageId(before) > newestMessageId(conversation);
    const { contact, last_message: last, newest_message_id, last_message_at, unread_count } = isOvertaken ? before : conversation;
    const isRead = (newest_message_id ?? 0) <= (readTo.get(conversation.id) ?? 0);
    const last_message = last && upToDate(last);
    const after = { ...conversation, contact, last_message, newest_message_id, last_message_at, unread_count: isRead ? 0 : unread_count };
    const latest = newest(conversation.id);
    return isBehind(conversation, latest) ? described(after, latest) : { ...after, isReadable: true };
  }

  /** A conversation as an event describes it, which is the same for everybody. */
  function described(conversation, { status, contact, department, assignee, window_ends_at, version }) {
    const after = { ...conversation, status, contact, department, assignee, window_ends_at };
    if (version !== undefined) after.version = version;
    const { user } = get();
    return { ...after, can: permissions(user, after), isReadable: mayRead(user, after) };
  }

  function changeThread(id, work) {
    set(({ thread }) => {
      if (thread?.id !== id) return {};
      const changes = work(thread);
      const isSame = Object.entries(changes).every(([key, value]) => Object.is(thread[key], value));
      return isSame ? {} : { thread: { ...thread, ...changes } };
    });
  }

  /** Takes in what an event brings of a conversation; returns whether that is news. */
  function describe(description) {
    const latest = newest(description.id);
    if (isBehind(description, latest)) return false;
    const before = known(description.id);
    if (!before && !isCountedAlike(latest, description)) miscount();
    if (before) put(described(before, description));
    set((state) => ({ glimpses: withGlimpse(state.glimpses, description) }));
    return true;
  }

  function changeFeed(departmentId, work) {
    set(({ feeds }) => (feeds[departmentId] ? { feeds: { ...feeds, [departmentId]: work(feeds[departmentId]) } } : {}));
  }

  /** Updates may overtake the message: the answer that brings it is on its way while the event is here. */
  const updates = new Map();

  /** Notes an update; returns whether it is news: no repeat, and nothing that what is known has overtaken. */
  function remember(update) {
    const { id, conversation_id: conversationId, version, status } = update;
    const before = updates.get(id);
    if (isBehind(update, before)) return false;
    updates.delete(id);
    updates.set(id, update);
    if (updates.size > MOST_UPDATES) updates.delete(updates.keys().next().value);
    const isRepeat = before && before.version === version && before.status === status;
    const { thread } = get();
    const shown = [known(conversationId)?.last_message, ...(thread?.id === conversationId ? thread.messages : [])];
    return !isRepeat && !shown.some((message) => message?.id === id && isBehind(update, message));
  }

  /** Changes what the list shows of a conversation's last message. */
  function updateLast(update) {
    const conversation = known(update.conversation_id);
    // What is lost to us stands still.
    if (!conversation?.isReadable || !conversation.last_message) return;
    const [last] = withUpdate([conversation.last_message], update);
    if (last !== conversation.last_message) change(conversation.id, { last_message: last });
  }

  /** A message with what is known of it from updates. */
  function upToDate(message) {
    const update = updates.get(message.id);
    return update ? withUpdate([message], update)[0] : message;
  }

  return {
    known,
    recounts: () => recounts,
    /** The counts have changed at the backend: what was asked before is of then. */
    recounted() { recounts += 1; },
    put,
    change,
    upToDate,
    changeThread,
    describe,
    fetched: (conversation) => put(fetched(conversation)),
    /** Puts what became of a conversation by what we did, which may be that it is not ours any more. */
    done(conversation) {
      const now = fetched(conversation);
      put({ ...now, isReadable: mayRead(get().user, now) });
    },

    /** Puts what a list holds; its counts come with it, so nothing is counted. */
    fetchedAll(conversations) {
      set((state) => {
        const all = { ...state.conversations };
        for (const conversation of conversations) all[conversation.id] = fetched(conversation);
        return { conversations: all };
      });
    },

    /** Forgets what the list would show and the backend has not listed, of what was known `before` it was asked. */
    forgetUnlisted(before) {
      set(({ conversations, list, user, thread }) => {
        const kept = { ...conversations };
        for (const { id } of listed(conversations, list, user, null)) {
          if (!list.ids.has(id) && id !== thread?.id && conversations[id] === before[id]) delete kept[id];
        }
        return { conversations: kept };
      });
    },

    /** Notes a message in its conversation and in the thread; returns whether it is news. */
    note(message) {
      const conversation = known(message.conversation_id);
      // What is lost to us stands still.
      if (conversation?.isReadable === false) return false;
      changeThread(message.conversation_id, ({ messages, before }) => {
        // What lies before the pages that are here comes with them: alone it would hide a gap.
        if (before !== null && byTime(message, messages[0]) < 0) return {};
        return { messages: withMessages(messages, [upToDate(message)]) };
      });
      if (!conversation || message.id <= newestMessageId(conversation)) return false;
      const isUnread = message.direction === "inbound" && message.id > (readTo.get(conversation.id) ?? 0);
      const isLast = !conversation.last_message || byTime(message, conversation.last_message) > 0;
      put({
        ...conversation,
        contact: message.contact ?? conversation.contact,
        newest_message_id: message.id,
        last_message: isLast ? upToDate(message) : conversation.last_message,
        last_message_at: isLast ? message.created_at : conversation.last_message_at,
        unread_count: conversation.unread_count + (isUnread ? 1 : 0),
      });
      return true;
    },

    /** Changes what is shown of a message wherever it is shown; returns whether that is news. */
    update(update) {
      const isNews = remember(update);
      changeThread(update.conversation_id, ({ messages }) => ({ messages: withUpdate(messages, update) }));
      updateLast(update);
      for (const id of Object.keys(get().feeds)) changeFeed(id, (feed) => withFeedUpdate(feed, update));
      return isNews;
    },

    /** Puts the whole of a message where only its beginning was. */
    complete(message) {
      const whole = upToDate({ ...message, truncated: false });
      changeThread(message.conversation_id, ({ messages }) => ({ messages: withMessages(messages, [whole]) }));
      for (const id of Object.keys(get().feeds)) changeFeed(id, (feed) => withWhole(feed, whole));
    },

    /** Adds messages to a department's feed. */
    feed: (departmentId, messages) => changeFeed(departmentId, (feed) => withNews(feed, messages.map(upToDate))),

    /** Notes that a conversation is not, or no longer, open to us. */
    lose(id) {
      const conversation = known(id);
      if (conversation?.isReadable) put({ ...conversation, isReadable: false, can: {}, assignee: undefined });
      changeThread(id, ({ messages }) => ({ state: "refused", messages }));
    },

    /** Up to which message a conversation is read. */
    lastRead: (id) => Math.max(readTo.get(id) ?? 0, known(id)?.last_read_message_id ?? 0),

    /** Notes up to which message a conversation is read, and how many are not. */
    read(id, messageId, unread) {
      readTo.set(id, Math.max(messageId, readTo.get(id) ?? 0));
      change(id, { unread_count: unread });
    },

    /**
     * Whether the open conversation has something unread, and up to where it is read now. Where its end is on the screen
     * that is all of it: what came late may be further up than what is here, and would never be read.
     */
    unreadInThread() {
      const { thread } = get();
      const conversation = thread && known(thread.id);
      if (!conversation?.unread_count || !conversation.isReadable || thread.state !== "ready") return null;
      const [end, last] = [thread.messages.at(-1), conversation.last_message];
      const isAtEnd = !last || (end && byTime(end, last) >= 0);
      const arrived = lastArrived(thread.messages);
      return { id: thread.id, newest: isAtEnd ? Math.max(arrived, newestMessageId(conversation)) : arrived };
    },

    forget() {
      readTo.clear();
      updates.clear();
    },
  };
}
