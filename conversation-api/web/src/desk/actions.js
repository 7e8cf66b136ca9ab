// What is done with conversations and messages.
import { mayHeal } from "../http.js";

/** How often something is asked for before an outage is shown. Done twice, it is as if it were done once. */
const ATTEMPTS = 3;

export function createActions({ api, asking, records, fetching, follow }) {
  const { answered, attempt, pause } = asking;

  async function persist(ask) {
    for (let failures = 0; ; failures += 1) {
      try {
        return await answered(ask());
      } catch (error) {
        if (!mayHeal(error) || failures + 1 >= ATTEMPTS) throw error;
        await pause(failures);
      }
    }
  }

  /** Does something with a conversation, whose answer is how it is then. */
  const work = (ask) => async (id, ...rest) =>
    attempt(async () => {
      try {
        records.done(await fetching.recounting(() => persist(() => ask(id, ...rest))));
        follow();
      } catch (error) {
        // Somebody was faster, or it is not ours any more: what is on the screen is not how it is.
        if (error.status === 403 || error.status === 409) fetching.catchUp();
        throw error;
      }
    });

  return {
    take: work(api.take),
    assign: work(api.assign),
    resolve: work(api.resolve),
    reopen: work(api.reopen),
    move: async (id, departmentId) => {
      const isDone = await work(api.move)(id, departmentId);
      // It may have gone where we see nothing of it.
      if (isDone) fetching.catchUp();
    },

    /** Sends a failed message to the customer again. */
    retryMessage: (id) =>
      attempt(async () => {
        records.update(await answered(api.retry(id)));
      }),

    async markRead() {
      const unread = document.visibilityState === "visible" && records.unreadInThread();
      if (!unread) return;
      records.read(unread.id, unread.newest, 0);
      try {
        await fetching.recounting(() => answered(api.read(unread.id, unread.newest)));
      } catch (error) {
        if (error.status === undefined) throw error;
        // It is noted with the next message, or the next time that it is opened.
      }
    },
  };
}
