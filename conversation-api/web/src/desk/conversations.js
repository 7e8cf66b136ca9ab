// The list of conversations, the one with the newest message first. Nothing here changes what it is given.

export const newestFirst = (conversations) =>
  [...conversations].sort((a, b) => b.last_message_at.localeCompare(a.last_message_at) || b.id - a.id);

export const lastMessageId = (conversation) => conversation?.last_message?.id ?? 0;

/** Adds a conversation, or replaces what was known of it. */
export function withConversation(conversations, conversation) {
  const others = conversations.filter(({ id }) => id !== conversation.id);
  return newestFirst([...others, newer(find(conversations, conversation.id), conversation)]);
}

/**
 * Brings the list up to date with its first page. Conversations that the page has no room for stay; those that it
 * should hold and does not are ours no more.
 */
export function caughtUpWith(conversations, { data, meta }) {
  const fetched = new Set(data.map(({ id }) => id));
  const oldest = data.at(-1)?.last_message_at ?? "";
  const beyond = meta.last_page > 1 ? conversations.filter((c) => !fetched.has(c.id) && c.last_message_at <= oldest) : [];
  return newestFirst([...data.map((c) => newer(find(conversations, c.id), c)), ...beyond]);
}

/** Notes a message in its conversation. */
export function withMessage(conversations, message) {
  const conversation = find(conversations, message.conversation_id);
  if (!conversation || message.id <= lastMessageId(conversation)) return conversations;
  return withConversation(conversations, {
    ...conversation,
    contact: message.contact ?? conversation.contact,
    last_message: message,
    last_message_at: message.created_at,
    unread_count: conversation.unread_count + (message.direction === "inbound" ? 1 : 0),
  });
}

/** Changes one conversation. */
export const changed = (conversations, id, changes) =>
  conversations.map((conversation) => (conversation.id === id ? { ...conversation, ...changes } : conversation));

export const find = (conversations, id) => conversations.find((conversation) => conversation.id === id);

/** An answer may have been overtaken by an event: then it is not asked what events tell, only who answers. */
function newer(known, fetched) {
  if (!known || lastMessageId(known) <= lastMessageId(fetched)) return fetched;
  const { contact, last_message, last_message_at, unread_count } = known;
  return { ...fetched, contact, last_message, last_message_at, unread_count };
}
