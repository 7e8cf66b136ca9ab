// The desk: what can be done at it, by whoever is logged in.
import { preferencesOf, savePreferences } from "../preferences.js";
import { askToNotify } from "./alerts.js";
import { emptyList, firstQuery } from "./list.js";
import { EMPTY } from "./state.js";
import { startVisit } from "./visit.js";

export function createDesk({ store, api, config }) {
  const { get, set } = store;
  let visit = null;

  function open(user, token) {
    close();
    set({ hasEnded: false, user, preferences: preferencesOf(user.id), list: emptyList(firstQuery(user)) });
    visit = startVisit({ store, api, config, token });
    visit.outbox.restore(user);
    visit.show(get().route);
    visit.catchUp();
  }

  /** `hasEnded`: the log-in has ended by itself. */
  function close(hasEnded = false) {
    visit?.stop();
    visit = null;
    set({ ...EMPTY, route: get().route, hasEnded });
  }

  /** Lists something else. */
  const list = (changes) => visit.fetching.list({ ...get().list.query, ...changes });

  async function prefer(changes) {
    const own = visit;
    const isAllowed = !changes.notifications || await askToNotify();
    // Who was asked may have logged out before the answer, and somebody else be here.
    if (own !== visit) return undefined;
    if (!isAllowed) {
      return set({ failure: "This browser does not allow notifications for the inbox. Its settings can change that." });
    }
    if (changes.sound) visit.alerts.play();
    const preferences = { ...get().preferences, ...changes };
    savePreferences(get().user.id, preferences);
    return set({ preferences });
  }

  return {
    open,
    close,
    list,
    prefer,
    show(route) {
      if (visit) visit.show(route);
      else set({ route });
    },
    catchUp: () => visit.catchUp(),
    fetchMore: () => visit.asking.attempt(visit.fetching.fetchMore),
    fetchOlder: () => visit.asking.attempt(visit.fetching.fetchOlder),
    send(conversationId, message) {
      visit.live.doneTyping();
      visit.outbox.send(conversationId, message);
    },
    retrySending: (conversationId, clientId) => visit.outbox.retry(conversationId, clientId),
    discard: (conversationId, clientId) => visit.outbox.remove(conversationId, clientId),
    retryMessage: (id) => visit.actions.retryMessage(id),
    take: (id) => visit.actions.take(id),
    assign: (id, userId) => visit.actions.assign(id, userId),
    resolve: (id) => visit.actions.resolve(id),
    reopen: (id) => visit.actions.reopen(id),
    move: (id, departmentId) => visit.actions.move(id, departmentId),
    media: (url) => visit.asking.answered(api.media(url)),
    markRead: () => visit?.actions.markRead(),
    clearFailure: () => set({ failure: "" }),
    clearUndelivered: () => set({ undelivered: [] }),
    sendTyping: () => visit.live.sendTyping(),
    retryConnection: () => visit.live.retry(),
    socketId: () => visit?.live.socketId(),
  };
}
