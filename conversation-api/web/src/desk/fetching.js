// What is fetched: the list, the open conversation, the departments, and who is who.
import { waitAfter } from "../backoff.js";
import { mayHeal } from "../http.js";
import { coalesce } from "./coalesce.js";
import { EMPTY_FEED, lastMessages } from "./feeds.js";
import { emptyList, listed } from "./list.js";
import { EMPTY_THREAD, caughtUpWith, firstUnread, withMessages } from "./messages.js";

const PAGE = 50;
const LARGEST_PAGE = 100;
/** Conversations that are fetched anew, of a list that has more: what is further down is fetched again on request. */
const MOST_ANEW = 1000;
/** Counts that are not known from events are fetched after this, and no more often than that. */
const COUNTS_AFTER_MS = 200;
const COUNTS_EVERY_MS = 3000;

const isRefusal = ({ status }) => status === 403 || status === 404;

/** @param {() => void} follow called when other channels may be wanted than before */
export function createFetching({ store: { get, set }, api, asking, records, follow }) {
  const { answered } = asking;
  let failures = 0;
  let again = null;
  let counting = null;
  let countedAt = -Infinity;
  /** How often counts were shown that the backend had counted. */
  let counted = 0;
  /** Messages whose whole is being fetched. */
  const wholes = new Set();

  /** Fetches what is on the screen anew: what was missed is seen, and what is known stays where it is. */
  const catchUp = coalesce(async () => {
    clearTimeout(again);
    const work = [fetchList(), fetchThread(), fetchFeed(), fetchOthers()];
    const results = await Promise.allSettled(work);
    const failed = results.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
    failures = failed.length > 0 ? failures + 1 : 0;
    if (failed.some(mayHeal)) again = setTimeout(catchUp, waitAfter(failures - 1));
    const fault = failed.find(({ status }) => status === undefined);
    if (fault) throw fault;
  });

  /** What fails now is caught up with later. */
  async function orLater(work) {
    try {
      await work;
    } catch (error) {
      if (error.status === undefined) throw error;
      if (!mayHeal(error)) return;
      clearTimeout(again);
      again = setTimeout(catchUp, waitAfter(failures));
      failures += 1;
    }
  }

  // The list

  async function fetchList() {
    const { query, state, next } = get().list;
    if (state === "failed") changeList(query, () => ({ state: "loading" }));
    const before = get().conversations;
    const recounts = records.recounts();
    let page;
    try {
      page = await fetchFirst(query, Math.ceil(shown() / PAGE) * PAGE);
    } catch (error) {
      changeList(query, ({ state }) => ({ state: state === "ready" ? "ready" : "failed" }));
      throw error;
    }
    if (get().list.query !== query) return;
    // More of the list has come meanwhile than was asked for.
    if (get().list.next !== next) {
      await fetchList();
      return;
    }
    records.fetchedAll(page.data);
    changeList(query, () => ({
      state: "ready",
      ids: new Set(page.data.map(({ id }) => id)),
      ...reach(page),
    }));
    records.forgetUnlisted(before);
    await setCounts(query, page.meta.counts, recounts);
    follow();
  }

  /** How many conversations the list shows, as far as it is fetched anew. */
  function shown() {
    const { conversations, list, user, thread } = get();
    return Math.min(Math.max(listed(conversations, list, user, thread?.id).length, 1), MOST_ANEW);
  }

  /** The first `count` conversations of a list, in as few pages as hold them. */
  async function fetchFirst(query, count) {
    const data = [];
    let before;
    for (;;) {
      const perPage = Math.min(count - data.length, LARGEST_PAGE);
      const page = await answered(api.conversations({ ...query, before, perPage }));
      data.push(...page.data);
      before = page.meta.next_before;
      if (!before || data.length >= count || get().list.query !== query) return { ...page, data };
    }
  }

  /** Shows what was counted. `recounts`: how often that had changed when it was asked; what is counted since comes soon. */
  async function setCounts(query, counts, recounts) {
    counted += 1;
    // Those of a status that is listed no more are of nothing that is shown.
    if (get().list.query.status === query.status) set({ counts });
    if (query.status !== "closed") {
      set({ unread: counts.unread });
    } else {
      const { meta } = await answered(api.conversations({ status: "open", perPage: 1 }));
      set({ unread: meta.counts.unread });
    }
    if (records.recounts() !== recounts) countSoon();
  }

  /** Fetches what follows below the list. By its place, not by a number: conversations leave the list, and come to it. */
  async function fetchMore() {
    const { query, next } = get().list;
    changeList(query, () => ({ state: "more" }));
    try {
      const page = await answered(api.conversations({ ...query, before: next, perPage: PAGE }));
      records.fetchedAll(page.data);
      changeList(query, (list) => {
        // The list was fetched anew: the page would not join what is there.
        if (list.next !== next) return { state: "ready" };
        return { state: "ready", ids: new Set([...list.ids, ...page.data.map(({ id }) => id)]), ...reach(page) };
      });
      follow();
    } catch (error) {
      changeList(query, () => ({ state: "ready" }));
      throw error;
    }
  }

  /** How far the list reaches with a page. */
  function reach({ data, meta: { next_before: next } }) {
    return { next, last: next ? data.at(-1) : null };
  }

  function changeList(query, work) {
    set(({ list }) => (list.query === query ? { list: { ...list, ...work(list) } } : {}));
  }

  /** Fetches the counts soon, as they are not known from events alone. */
  function countSoon() {
    const wait = Math.max(COUNTS_AFTER_MS, countedAt + COUNTS_EVERY_MS - performance.now());
    counting ??= setTimeout(async () => {
      counting = null;
      countedAt = performance.now();
      const { query } = get().list;
      const recounts = records.recounts();
      const asked = answered(api.conversations({ status: query.status, perPage: 1 }));
      await asked.then(({ meta }) => setCounts(query, meta.counts, recounts)).catch(() => {});
    }, wait);
  }

  /**
   * Does what changes the counts at the backend as they are changed here already. What was counted meanwhile may be of before it,
   * and is counted again.
   */
  async function recounting(work) {
    const before = counted;
    try {
      return await work();
    } finally {
      records.recounted();
      if (counted !== before) countSoon();
    }
  }

  // The open conversation

  async function fetchThread() {
    const { thread } = get();
    if (!thread || thread.state === "refused") return;
    const { id } = thread;
    if (thread.state === "failed") records.changeThread(id, () => ({ state: "loading" }));
    try {
      const [, page] = await Promise.all([fetchConversation(id), answered(api.messages(id))]);
      const lastRead = records.lastRead(id);
      records.changeThread(id, (now) => {
        const isFirst = now.state !== "ready";
        const caughtUp = { ...caughtUpWith(now, { ...page, data: page.data.map(records.upToDate) }), state: "ready" };
        return isFirst ? { ...caughtUp, firstUnread: firstUnread(caughtUp.messages, lastRead) } : caughtUp;
      });
    } catch (error) {
      if (isRefusal(error)) return records.lose(id);
      records.changeThread(id, ({ state }) => ({ state: state === "ready" ? "ready" : "failed" }));
      throw error;
    }
  }

  async function fetchOlder() {
    const { thread } = get();
    if (!thread?.before || thread.older === "loading") return;
    records.changeThread(thread.id, () => ({ older: "loading" }));
    try {
      const page = await answered(api.messages(thread.id, thread.before));
      records.changeThread(thread.id, ({ messages, before }) => {
        // The thread has begun anew: the page would not join what is there.
        if (before !== thread.before) return { older: "ready" };
        return { messages: withMessages(messages, page.data.map(records.upToDate)), before: page.meta.next_before, older: "ready" };
      });
    } catch (error) {
      records.changeThread(thread.id, () => ({ older: "failed" }));
      if (!mayHeal(error)) throw error;
    }
  }

  async function fetchConversation(id) {
    records.fetched(await answered(api.conversation(id)));
    follow();
  }

  /** Fetches the whole of a message whose text an event had to cut; the event comes on several channels. */
  async function fetchWhole(id) {
    if (wholes.has(id)) return;
    wholes.add(id);
    try {
      await fetchMessage(id);
    } finally {
      wholes.delete(id);
    }
  }

  async function fetchMessage(id) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return records.complete(await answered(api.message(id)));
      } catch (error) {
        if (!mayHeal(error)) return undefined;
        await asking.pause(attempt);
      }
    }
  }

  // Departments and people

  async function fetchFeed() {
    const { route, user } = get();
    if (route.view !== "department" || (user.department_id ?? route.id) !== route.id) return;
    const { id } = route;
    set(({ feeds }) => ({ feeds: { ...feeds, [id]: { ...(feeds[id] ?? EMPTY_FEED) } } }));
    const setState = (state) => set(({ feeds }) => ({ feeds: { ...feeds, [id]: { ...feeds[id], state } } }));
    if (get().feeds[id].state === "failed") setState("loading");
    try {
      const { data } = await answered(api.conversations({ departmentId: id, perPage: PAGE }));
      records.fetchedAll(data);
      records.feed(id, lastMessages(data));
      setState("ready");
      follow();
    } catch (error) {
      if (get().feeds[id].state !== "ready") setState("failed");
      throw error;
    }
  }

  /** What changes seldom is fetched until it is there. */
  async function fetchOthers() {
    await Promise.all([fetchUser(), fetchOnce("departments"), fetchOnce("colleagues"), fetchOnce("templates")]);
  }

  /** The role or the department may have changed since the log-in. */
  async function fetchUser() {
    const user = await answered(api.user());
    const isSame = Object.entries(user).every(([key, value]) => get().user[key] === value);
    if (isSame) return;
    set({ user });
    follow();
  }

  async function fetchOnce(name) {
    if (get()[name].state === "ready") return;
    set({ [name]: { state: "loading", data: [] } });
    try {
      const { data } = await answered(api[name]());
      set({ [name]: { state: "ready", data } });
      follow();
    } catch (error) {
      set({ [name]: { state: "failed", data: [] } });
      // What is refused is not there for this user.
      if (mayHeal(error)) throw error;
    }
  }

  return {
    catchUp,
    fetchConversation,
    fetchWhole,
    fetchMore,
    fetchOlder,
    countSoon,
    recounting,
    /** Lists something else. */
    list(query) {
      set({ list: emptyList(query) });
      return orLater(fetchList());
    },
    /** Fetches what the address names, without waiting for anything else. */
    fetchShown: () => orLater(Promise.all([fetchThread(), fetchFeed()])),
    openThread(id) {
      set({ thread: id ? { id, ...EMPTY_THREAD } : null });
    },
    stop() {
      clearTimeout(again);
      clearTimeout(counting);
      counting = null;
      failures = 0;
    },
  };
}
