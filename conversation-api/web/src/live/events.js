// The events of the desk: on which channels they come, and what is in them.
import { clean } from "../clean.js";

/**
 * Listens to a channel: `user.5`, `department.1` or `conversation.7`. An event that comes on several channels, or twice,
 * is passed on as often: it is known by its ids.
 *
 * @param {object} on what to do with what comes
 * @param {(message: object, channel: string, conversation?: object) => void} on.message a message was written
 * @param {(update: object) => void} on.updated a message's status, reason or file has changed
 * @param {(event: object) => void} on.assigned a conversation has another assignee
 * @param {(event: object) => void} on.changed something else about a conversation has changed
 * @param {() => void} on.caughtUp called whenever the subscription takes effect, at first and after every interruption:
 *     what happened before is to be fetched now, and what happens from here on is received
 * @param {(status: number) => void} refused called when the subscription is refused, or the backend cannot be asked
 */
export function listenTo(echo, channel, on, refused) {
  echo
    .private(channel)
    .listen(".message.received", (event) => {
      const { conversation, ...message } = clean(event);
      on.message({ ...message, sender: null, contact: conversation.contact }, channel, conversation);
    })
    .listen(".message.sent", (event) => on.message(clean(event), channel))
    .listen(".message.updated", (event) => on.updated(clean(event)))
    .listen(".conversation.assigned", (event) => on.assigned(clean(event)))
    .listen(".conversation.updated", (event) => on.changed(clean(event)))
    .subscribed(on.caughtUp)
    .error(({ status }) => refused(status));
}
