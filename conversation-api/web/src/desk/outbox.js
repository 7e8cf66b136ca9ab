// Messages on their way to the backend: each conversation's go one after the other.
import { keysWith, load, save } from "../storage.js";
import { newClientId } from "./client-id.js";

/** Messages that a browser keeps for later, of one user. */
const MOST_KEPT = 50;
const prefixOf = (userId) => `tims.outgoing.${userId}.`;

const WAITING = { state: "waiting", failure: null };
const INTERRUPTED = { state: "failed", failure: "the page was closed, or the log-in ended." };

/**
 * A message on its way is `{ client_id, type, content, template, state, failure }`. Its state is "waiting" for those
 * before it, "sending", or "failed", with the reason. What failed holds those after it, so that none overtakes another.
 * All of it outlives a reload: it is offered again, under the same id, so that nothing is sent twice.
 */
export function createOutbox({ store: { get, set }, api, asking, sent, refused }) {
  let latest = 0;
  const queueOf = (conversationId) => get().outgoing[conversationId] ?? [];

  function setQueue(conversationId, queue) {
    set(({ outgoing }) => {
      const { [conversationId]: _, ...others } = outgoing;
      return { outgoing: queue.length > 0 ? { ...others, [conversationId]: queue } : others };
    });
  }

  function change(conversationId, clientId, changes) {
    const queue = queueOf(conversationId);
    setQueue(conversationId, queue.map((message) => (message.client_id === clientId ? { ...message, ...changes } : message)));
  }

  /** Sends the first message of a conversation, if it waits, and then the next. */
  async function advance(conversationId) {
    const [first] = queueOf(conversationId);
    if (first?.state !== "waiting") return;
    const { client_id, type, content, template } = first;
    change(conversationId, client_id, { state: "sending" });
    const body = { conversation_id: conversationId, client_id, type, ...(template ? { template } : { content }) };
    try {
      sent(await asking.answered(api.send(body)));
      remove(conversationId, client_id);
    } catch (error) {
      if (error.status === undefined) throw error;
      change(conversationId, client_id, { state: "failed", failure: error.message });
      if (error.status === 403) refused(conversationId);
    }
  }

  /** Takes a message out, sent or given up, and goes on with what it held. */
  function remove(conversationId, clientId) {
    const queue = queueOf(conversationId);
    if (!queue.some((message) => message.client_id === clientId)) return;
    save(prefixOf(get().user.id) + clientId, null);
    setQueue(conversationId, queue.filter((message) => message.client_id !== clientId));
    advance(conversationId);
  }

  return {
    /** Puts a message behind those that are on their way. */
    send(conversationId, message) {
      const client_id = newClientId();
      // Their order is kept even within a millisecond.
      latest = Math.max(latest + 1, Date.now());
      save(prefixOf(get().user.id) + client_id, { ...message, client_id, conversation_id: conversationId, at: latest });
      setQueue(conversationId, [...queueOf(conversationId), { ...message, client_id, ...WAITING }]);
      return advance(conversationId);
    },
    retry(conversationId, clientId) {
      change(conversationId, clientId, { ...WAITING });
      return advance(conversationId);
    },
    remove,
    /** Notes that the backend has a message, however that became known. */
    arrived({ conversation_id: id, client_id: clientId }) {
      if (clientId) remove(id, clientId);
    },
    /** Offers what was not sent before the page was closed, or the log-in ended. */
    restore(user) {
      const keys = keysWith(prefixOf(user.id));
      const kept = keys.map((key) => ({ key, ...load(key) })).sort((a, b) => b.at - a.at);
      for (const { key } of kept.splice(MOST_KEPT)) save(key, null);
      const outgoing = {};
      for (const { conversation_id: id, client_id, type, content, template } of kept.reverse()) {
        const queue = (outgoing[id] ??= []);
        const state = queue.length > 0 ? WAITING : INTERRUPTED;
        queue.push({ client_id, type, content, template, ...state });
      }
      set({ outgoing });
    },
  };
}
