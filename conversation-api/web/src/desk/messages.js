// Lists of messages, in the order of their ids. Nothing here changes what it is given.

/** Adds messages; one that is there already is not there twice, but knows what either of the two knows. */
export function withMessages(messages, more) {
  const byId = new Map(messages.map((message) => [message.id, message]));
  for (const message of more) byId.set(message.id, { ...byId.get(message.id), ...message });
  return [...byId.values()].sort((a, b) => a.id - b.id);
}

/** A conversation of which nothing is known yet. `fetchedTo`: up to which id what is known comes from the backend. */
export const EMPTY_THREAD = { messages: [], before: null, fetchedTo: 0 };

/**
 * Brings a thread up to date with the newest page of messages. Where the page does not reach back to what was fetched,
 * that goes, for a gap would look like silence; it comes back when somebody scrolls up.
 */
export function caughtUpWith(thread, { data, meta }) {
  const newest = data.at(-1)?.id ?? 0;
  const reaches = data.length > 0 && data[0].id <= thread.fetchedTo;
  const heardSince = thread.messages.filter(({ id }) => id > newest);
  return {
    ...thread,
    messages: withMessages(reaches ? thread.messages : heardSince, data),
    before: reaches ? thread.before : meta.next_before,
    fetchedTo: Math.max(thread.fetchedTo, newest),
  };
}
