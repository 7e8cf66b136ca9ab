// The desk: what can be done at it, and what happens at it.
import { goLive } from "../live/live.js";
import { coalesce } from "./coalesce.js";
import * as conversations from "./conversations.js";
import { departmentsOf, lastMessages, withNews } from "./departments.js";
import { EMPTY_THREAD, caughtUpWith, withMessages } from "./messages.js";
import { EMPTY } from "./state.js";

const PAGE = 50;
const LARGEST_PAGE = 100;
/** How long after a failure what is on the screen is fetched again. */
const FETCH_AGAIN_MS = 3000;
/** Roles that say who answers a conversation. */
const ASSIGNERS = new Set(["admin", "operation_manager", "manager"]);

/** Who asked has left meanwhile. */
class GoneError extends Error {}

export function createDesk({ store, api, config }) {
  const { get, set } = store;
  let live = null;
  let keys = 0;
  /** Conversations that we hear of in the department and may not open. */
  const closedToUs = new Set();
  /** Up to which message each conversation is read, also while the backend is still being told. */
  const readTo = new Map();

  // Coming and going

  function open(user, token) {
    set({ ...EMPTY, user, route: get().route });
    live = goLive(config, token, {
      heard,
      caughtUp: catchUp,
      connection: (connection) => set({ connection }),
      viewers: (viewers) => set({ viewers }),
      typing: (typing) => set({ typing }),
    });
    if (ASSIGNERS.has(user.role)) attempt(fetchColleagues);
    catchUp();
    show(get().route);
  }

  function close() {
    live?.stop();
    live = null;
    closedToUs.clear();
    readTo.clear();
    set({ ...EMPTY, route: get().route });
  }

  // Fetching

  /** Fetches what is on the screen anew: what was missed is seen, and what is known stays where it is. */
  const catchUp = coalesce(async () => {
    const isDone = await attempt(() => Promise.all([fetchConversations(), fetchMessages()]));
    if (!isDone && live) setTimeout(catchUp, FETCH_AGAIN_MS);
  });

  async function fetchConversations() {
    const here = get().conversations?.length ?? 0;
    const page = await answered(api.conversations({ perPage: Math.min(Math.max(here, PAGE), LARGEST_PAGE) }));
    closedToUs.clear();
    set((state) => ({
      conversations: conversations.caughtUpWith(state.conversations ?? [], { ...page, data: page.data.map(asRead) }),
      hasMore: page.meta.total > Math.max(here, page.data.length),
    }));
    follow();
  }

  async function fetchMessages() {
    const { thread } = get();
    if (!thread || thread.refused) return;
    let page;
    try {
      page = await answered(api.messages(thread.id));
    } catch (error) {
      if (error.status !== 403 && error.status !== 404) throw error;
      return changeThread(thread.id, () => ({ refused: true }));
    }
    changeThread(thread.id, (now) => caughtUpWith(now, page));
    // A link may lead to a conversation that the first page of the list does not hold.
    if (!conversations.find(get().conversations ?? [], thread.id)) await fetchConversation(thread.id);
    markRead();
  }

  async function fetchConversation(id) {
    try {
      const conversation = asRead(await answered(api.conversation(id)));
      set((state) => ({ conversations: conversations.withConversation(state.conversations ?? [], conversation) }));
      follow();
    } catch (error) {
      if (error.status !== 403 && error.status !== 404) throw error;
      closedToUs.add(id);
    }
  }

  async function fetchColleagues() {
    const { data } = await answered(api.colleagues());
    set({ colleagues: data });
  }

  /** Listens to what is on the screen now. */
  function follow() {
    if (!live) return;
    set((state) => {
      const departments = departmentsOf(state.user, state.departments, state.conversations ?? []);
      const feeds = { ...state.feeds };
      for (const { id } of departments) {
        feeds[id] = withNews(feeds[id] ?? [], lastMessages(state.conversations ?? [], id));
      }
      return { departments, feeds };
    });
    const { departments, thread } = get();
    const openId = thread && !thread.refused ? thread.id : null;
    live.follow({ departments, conversations: get().conversations ?? [], openId });
  }

  // What is heard

  /** A message, of a customer or a colleague; perhaps one that is known already. */
  function heard(message, channel) {
    const known = get().conversations ?? [];
    const isNews = message.id > conversations.lastMessageId(conversations.find(known, message.conversation_id));
    take(message);
    const [kind, departmentId] = channel.split(".");
    if (kind === "department") {
      set(({ feeds }) => ({ feeds: { ...feeds, [departmentId]: withNews(feeds[departmentId] ?? [], [message]) } }));
    }
    if (message.sender) live?.sent(message.sender.id);
    if (!conversations.find(known, message.conversation_id)) {
      if (!closedToUs.has(message.conversation_id)) attempt(() => fetchConversation(message.conversation_id));
      return;
    }
    if (isNews) set({ announcement: `${message.sender?.name ?? message.contact?.name}: ${message.content}` });
    markRead();
  }

  /** Puts a message where it belongs. */
  function take(message) {
    set((state) => ({ conversations: conversations.withMessage(state.conversations ?? [], message) }));
    changeThread(message.conversation_id, ({ messages }) => ({ messages: withMessages(messages, [message]) }));
  }

  // What is done

  /** Shows what the address names. */
  function show(route) {
    const id = route.view === "conversation" ? route.id : null;
    const isSame = get().thread?.id === id;
    set({ route, ...(isSame ? {} : { thread: id && { id, refused: false, ...EMPTY_THREAD } }) });
    if (!get().user || isSame) return;
    follow();
    if (id) attempt(fetchMessages);
  }

  async function fetchOlder() {
    const { thread } = get();
    if (!thread?.before) return;
    const page = await answered(api.messages(thread.id, thread.before));
    changeThread(thread.id, ({ messages, before }) => {
      // It was asked for twice, or the thread has begun anew: the page would not join what is there.
      if (before !== thread.before) return {};
      return { messages: withMessages(messages, page.data), before: page.meta.next_before };
    });
  }

  async function fetchMore() {
    const here = get().conversations.length;
    const page = await answered(api.conversations({ page: Math.floor(here / PAGE) + 1, perPage: PAGE }));
    set((state) => ({
      conversations: page.data.reduce(conversations.withConversation, state.conversations),
      hasMore: page.meta.current_page < page.meta.last_page,
    }));
    follow();
  }

  async function send(conversationId, content, key = ++keys) {
    setOutgoing(conversationId, key, { key, content, failure: null });
    live?.doneTyping();
    try {
      take(await answered(api.send(conversationId, content)));
      setOutgoing(conversationId, key, null);
    } catch (error) {
      if (!(error instanceof GoneError)) setOutgoing(conversationId, key, { key, content, failure: error.message });
    }
  }

  function setOutgoing(conversationId, key, message) {
    set(({ outgoing }) => {
      const others = (outgoing[conversationId] ?? []).filter((other) => other.key !== key);
      return { outgoing: { ...outgoing, [conversationId]: message ? [...others, message] : others } };
    });
  }

  async function markRead() {
    const { thread } = get();
    const newest = thread?.messages.at(-1)?.id;
    const conversation = conversations.find(get().conversations ?? [], thread?.id);
    if (!newest || !conversation?.unread_count || document.visibilityState !== "visible") return;
    readTo.set(thread.id, newest);
    changeConversation(thread.id, { unread_count: 0 });
    await attempt(() => answered(api.read(thread.id, newest)));
  }

  async function assign(conversationId, userId) {
    const conversation = await answered(api.assign(conversationId, userId));
    set((state) => ({ conversations: conversations.withConversation(state.conversations, conversation) }));
  }

  // Small helpers

  const asRead = (conversation) => {
    const isRead = conversations.lastMessageId(conversation) <= readTo.get(conversation.id);
    return isRead ? { ...conversation, unread_count: 0 } : conversation;
  };

  function changeThread(id, change) {
    set(({ thread }) => (thread?.id === id ? { thread: { ...thread, ...change(thread) } } : {}));
  }

  function changeConversation(id, changes) {
    set((state) => ({ conversations: conversations.changed(state.conversations, id, changes) }));
  }

  /** An answer, or its failure, as long as who asked is still there: it is nothing for whoever comes next. */
  async function answered(answer) {
    const asker = live;
    const [result] = await Promise.allSettled([answer]);
    if (live !== asker) throw new GoneError();
    if (result.status === "rejected") throw result.reason;
    return result.value;
  }

  /** Does something, shows what went wrong, and tells whether nothing did. */
  async function attempt(work) {
    try {
      await work();
      if (get().failure) set({ failure: "" });
      return true;
    } catch (error) {
      if (!(error instanceof GoneError)) set({ failure: error.message });
      return false;
    }
  }

  return {
    open,
    close,
    show,
    send,
    markRead,
    discard: (conversationId, key) => setOutgoing(conversationId, key, null),
    assign: (conversationId, userId) => attempt(() => assign(conversationId, userId)),
    fetchOlder: () => attempt(fetchOlder),
    fetchMore: () => attempt(fetchMore),
    mayAssign: () => ASSIGNERS.has(get().user?.role),
    sayTyping: () => live?.sayTyping(),
    retryConnection: () => live?.retry(),
    socketId: () => live?.socketId(),
  };
}
