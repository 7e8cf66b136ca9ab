// What events bring, and where it belongs.
import { lineOf } from "../preview.js";
import { mayRead } from "./permissions.js";
import { newestMessageId } from "./records.js";

/** What events bring of a conversation, in the shape of the conversation. */
function descriptionOf({ department_id, ...conversation }, departments, known) {
  if (conversation.department !== undefined || department_id === undefined) return conversation;
  const names = [known?.department, ...departments].filter(Boolean);
  const department = department_id === null ? null : (names.find(({ id }) => id === department_id) ?? { id: department_id, name: "" });
  return { ...conversation, department };
}

/** Conversations of which it is kept that a message did not arrive. */
const MOST_UNDELIVERED = 100;

/**
 * @param {object} uses
 * @param {object} uses.alerts what draws attention; see alerts.js
 * @param {(userId: number) => void} uses.wrote called when a colleague's message has come
 * @param {() => void} uses.follow called when other channels may be wanted than before
 * @param {() => void} uses.settle called when the open conversation has been fetched
 */
export function createArrivals({ store: { get, set }, records, fetching, outbox, alerts, wrote, follow, settle, markRead }) {
  /** Conversations that the backend has refused, so that it is not asked for each of their messages. */
  const refused = new Set();

  async function fetchUnlessRefused(id) {
    if (refused.has(id)) return;
    refused.add(id);
    try {
      await fetching.fetchConversation(id);
      refused.delete(id);
    } catch (error) {
      if (error.status === undefined) throw error;
      // What an outage kept from us comes with the next fetch.
      if (error.status !== 403 && error.status !== 404) refused.delete(id);
    }
  }

  /** Takes in whose a conversation is now. */
  function describe(conversation) {
    const { user, departments } = get();
    const before = records.known(conversation.id);
    const description = descriptionOf(conversation, departments.data, before);
    if (!records.describe(description)) return description;
    const isOpenToUs = mayRead(user, { ...before, ...description });
    if (isOpenToUs && !before?.isReadable) {
      refused.delete(description.id);
      fetchUnlessRefused(description.id).then(() => reopen(description.id));
    }
    follow();
    return description;
  }

  /** What is on the screen of a conversation that was not ours stood still, or is not there: it is fetched. */
  function reopen(id) {
    const { thread } = get();
    if (thread?.id !== id || !records.known(id)?.isReadable) return;
    if (thread.state === "refused") fetching.openThread(id);
    fetching.fetchShown().then(settle);
  }

  /** Gives screen readers a text; one that stands there already they would pass over. */
  const announce = (text) => set(({ announcement }) => ({ announcement: announcement === text ? `${text}\u00a0` : text }));

  const nameOf = (id) => (records.known(id) ?? get().glimpses[id])?.contact.name ?? `conversation ${id}`;

  /** A message did not reach the customer: who wrote it and who has the conversation are to know, wherever they are. */
  async function undelivered({ conversation_id: id, sender }) {
    const { user, glimpses } = get();
    const isOurs = ({ assignee }) => sender?.id === user.id || assignee?.id === user.id;
    const before = records.known(id) ?? glimpses[id];
    if (before && !isOurs(before)) return;
    if (!records.known(id)) await fetchUnlessRefused(id);
    const conversation = records.known(id);
    if (!conversation?.isReadable || !isOurs(conversation)) return;
    const text = `A message to ${conversation.contact.name} was not delivered.`;
    if (get().thread?.id === id) announce(text);
    else set(({ undelivered: ids }) => ({ undelivered: [...ids.filter((other) => other !== id), id].slice(-MOST_UNDELIVERED) }));
    alerts.undelivered(id, conversation.contact.name);
  }

  return {
    message(message, channel, conversation) {
      const { conversation_id: id } = message;
      const wasKnown = Boolean(records.known(id)?.isReadable);
      const isNews = records.note(message);
      outbox.arrived(message);
      if (conversation) describe(conversation);
      const [kind, departmentId] = channel.split(".");
      if (kind === "department") records.feed(departmentId, [message]);
      if (message.sender) wrote(message.sender.id);
      if (message.truncated && (kind === "department" || get().thread?.id === id)) fetching.fetchWhole(message.id);
      if (!wasKnown && !conversation) {
        const glimpse = get().glimpses[id];
        if (!glimpse || mayRead(get().user, glimpse)) fetchUnlessRefused(id);
      }
      if (isNews) {
        announce(`${message.sender?.name ?? nameOf(id)}: ${lineOf(message)}`);
        alerts.message(message, records.known(id));
      } else if (!wasKnown && conversation && mayRead(get().user, get().glimpses[id])) {
        alerts.message(message, get().glimpses[id]);
      }
      markRead();
    },

    updated(update) {
      if (records.update(update) && update.status === "failed") undelivered(update);
    },

    assigned({ conversation, assignee, previous_assignee: previous, by }) {
      const { user } = get();
      const { id } = describe(conversation);
      if (by?.id === user.id) return;
      if (assignee?.id === user.id) {
        announce(`${nameOf(id)} is yours now.`);
        alerts.assigned(id, nameOf(id), by);
      } else if (previous?.id === user.id) {
        announce(assignee ? `${assignee.name} has ${nameOf(id)} now.` : `Nobody has ${nameOf(id)} now.`);
      }
    },

    changed({ conversation_id: id, conversation, read }) {
      describe(conversation);
      if (read?.user_id !== get().user.id) return;
      const known = records.known(id);
      if (!known) return;
      if (newestMessageId(known) <= read.last_read_message_id) records.read(id, read.last_read_message_id, 0);
      else fetchUnlessRefused(id);
    },
  };
}
