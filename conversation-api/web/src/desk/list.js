// Which of the known conversations are in the list, and how many there are. Nothing here changes what it is given.

/** What is listed: `filter` "mine", "unassigned" or "all"; `status` "open", "closed" or "all". */
export const FIRST_QUERY = { filter: "all", status: "open", unread: false, search: "" };

/**
 * A list of which nothing is known yet. `ids`: what the backend has listed; `last`: the last of it, and `next`: where the
 * backend goes on below it; null for all.
 */
export const emptyList = (query) => ({ query, ids: new Set(), state: "loading", last: null, next: null });

export const firstQuery = (user) => ({ ...FIRST_QUERY, filter: user.role === "agent" ? "mine" : "all" });

const FILTERS = {
  mine: ({ assignee }, user) => assignee?.id === user.id,
  unassigned: ({ assignee }) => !assignee,
  all: () => true,
};

/** Whether a conversation is of those that the list is about. */
export const matches = (conversation, { filter, status, unread }, user) =>
  conversation.isReadable &&
  FILTERS[filter](conversation, user) &&
  (status === "all" || conversation.status === status) &&
  (!unread || conversation.unread_count > 0);

const timeOf = ({ last_message_at, created_at }) => last_message_at ?? created_at ?? "";

export const newestFirst = (a, b) => timeOf(b).localeCompare(timeOf(a)) || b.id - a.id;

/**
 * What the list shows: what the backend has listed and what is newer. What is open stays, even if it is unread no
 * more. A search is the backend's alone.
 */
export function listed(conversations, list, user, openId) {
  const { query, ids, last } = list;
  const isWithin = (conversation) => !last || newestFirst(conversation, last) <= 0;
  const isListed = (conversation) => {
    if (!conversation.isReadable) return false;
    if (query.search) return ids.has(conversation.id);
    if (conversation.id === openId && ids.has(conversation.id)) return true;
    return matches(conversation, query, user) && (ids.has(conversation.id) || isWithin(conversation));
  };
  return Object.values(conversations).filter(isListed).sort(newestFirst);
}

/** Whether two states of a conversation are counted in the same places; `before` may be unknown. */
export function isCountedAlike(before, after) {
  const places = ({ status, assignee, unread_count, isReadable }) => [status, assignee?.id, unread_count > 0, isReadable].join();
  return Boolean(before) && places(before) === places(after);
}

/** How the counts change when a conversation becomes another; `before` is null for one that was not there. */
export function recount(counts, before, after, user, status) {
  if (!counts) return counts;
  const changed = { ...counts };
  for (const [conversation, step] of [[before, -1], [after, 1]]) {
    if (!conversation) continue;
    for (const filter of ["mine", "unassigned", "all"]) {
      if (matches(conversation, { filter, status }, user)) changed[filter] += step;
    }
    if (matches(conversation, { filter: "all", status, unread: true }, user)) changed.unread += step;
  }
  for (const name of Object.keys(changed)) changed[name] = Math.max(0, changed[name]);
  return changed;
}
