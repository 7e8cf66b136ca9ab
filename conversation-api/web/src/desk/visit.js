// All that goes on between a log-in and the log-out.
import { goLive } from "../live/live.js";
import { createActions } from "./actions.js";
import { createAlerts } from "./alerts.js";
import { createArrivals } from "./arrivals.js";
import { createAsking } from "./asking.js";
import { createFetching } from "./fetching.js";
import { departmentsOf } from "./feeds.js";
import { createOutbox } from "./outbox.js";
import { mayWrite } from "./permissions.js";
import { createRecords } from "./records.js";

export function startVisit({ store, api, config, token }) {
  const { get, set } = store;
  const asking = createAsking(store);
  const records = createRecords({ store, miscounted: () => fetching.countSoon() });
  const fetching = createFetching({ store, api, asking, records, follow });
  const actions = createActions({ api, asking, records, fetching, follow });
  const alerts = createAlerts({ store });
  const outbox = createOutbox({
    store, api, asking,
    sent: (message) => {
      const { conversation_id: id } = message;
      records.note(message);
      const { department, status } = records.known(id) ?? {};
      if (department) records.feed(department.id, [message]);
      // Writing reopens a conversation; the event of that goes to the others.
      if (status === "closed") asking.attempt(() => fetching.fetchConversation(id));
    },
    refused: () => fetching.catchUp(),
  });
  const arrivals = createArrivals({
    store, records, fetching, outbox, alerts, follow, settle,
    wrote: (userId) => live.wrote(userId),
    markRead: actions.markRead,
  });
  const live = goLive(config, token, {
    ...arrivals,
    caughtUp: catchUp,
    // What is asked of the backend next brings the page back to the log-in.
    unauthenticated: catchUp,
    connection: (connection) => set({ connection }),
    viewers: (viewers) => set({ viewers }),
    typing: (typing) => set({ typing }),
    presence: (presence) => set({ presence }),
  });

  function catchUp() {
    return fetching.catchUp().then(settle);
  }

  /** What the open conversation holds has arrived, and is read. */
  function settle() {
    get().thread?.messages.forEach(outbox.arrived);
    actions.markRead();
  }

  /** Listens to what is on the screen now. */
  function follow() {
    const { user, departments, conversations, thread } = get();
    const ours = Object.values(conversations).filter((conversation) => mayWrite(user, conversation));
    live.follow({ userId: user.id, departments: departmentsOf(user, departments.data), conversations: ours, openId: thread?.id });
  }

  return {
    asking, actions, alerts, fetching, outbox, live,
    catchUp,
    /** Shows what the address names. */
    show(route) {
      const id = route.view === "conversation" ? route.id : null;
      const isSame = get().thread?.id === id;
      const undelivered = get().undelivered.filter((other) => other !== id);
      set({ route, failure: "", undelivered, ...(isSame ? {} : { viewers: [], typing: [] }) });
      if (!isSame) fetching.openThread(id);
      follow();
      fetching.fetchShown().then(settle);
    },
    stop() {
      asking.stop();
      fetching.stop();
      alerts.stop();
      live.stop();
      records.forget();
    },
  };
}
