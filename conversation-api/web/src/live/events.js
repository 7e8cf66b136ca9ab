// The events of the desk: on which channels they come, and what is in them.

/**
 * Listens to the messages of a channel, `department.1` or `conversation.7`.
 *
 * @param {(message: object, channel: string) => void} heard called for every message. One that comes on several channels, or twice, is
 *     told as often: its id says that it is the same
 * @param {() => void} caughtUp called whenever the subscription takes effect, at first and after every interruption:
 *     what happened before is to be fetched now, and what happens from here on is heard
 * @param {(status: number) => void} refused called when the subscription is refused, or the backend cannot be asked
 */
export function listenToMessages(echo, channel, { heard, caughtUp, refused }) {
  echo
    .private(channel)
    .listen(".message.received", (event) => heard(fromCustomer(event), channel))
    .listen(".message.sent", (event) => heard(fromAgent(event), channel))
    .subscribed(caughtUp)
    .error(({ status }) => refused(status));
}

/** `message.received`: a customer has written. */
function fromCustomer({ id, conversation_id, direction, content, created_at, conversation }) {
  return { id, conversation_id, direction, content, created_at, sender: null, contact: conversation.contact };
}

/** `message.sent`: somebody at the desk has written. */
function fromAgent({ id, conversation_id, direction, content, created_at, sender }) {
  return { id, conversation_id, direction, content, created_at, sender, contact: null };
}
