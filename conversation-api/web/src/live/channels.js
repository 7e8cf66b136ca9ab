// Which channels are subscribed to: always those that are wanted now.
import { listenTo } from "./events.js";
import { createRetries, isFinal, UNAUTHENTICATED } from "./retries.js";

export function createChannels(echo, on) {
  const watched = new Set();
  const retries = createRetries((channel) => {
    if (!watched.has(channel)) return;
    leave(channel);
    join(channel);
  });

  function join(channel) {
    const caughtUp = () => {
      retries.forget(channel);
      on.caughtUp();
    };
    listenTo(echo, channel, { ...on, caughtUp }, (status) => {
      if (status === UNAUTHENTICATED) on.unauthenticated();
      if (!isFinal(status)) retries.failed(channel);
    });
  }

  const leave = (channel) => echo.leaveChannel(`private-${channel}`);

  return {
    /** Subscribes to what is new among `wanted`, and leaves what is there no more. */
    watch(wanted) {
      for (const channel of watched) {
        if (wanted.has(channel)) continue;
        watched.delete(channel);
        retries.forget(channel);
        leave(channel);
      }
      for (const channel of wanted) {
        if (watched.has(channel)) continue;
        watched.add(channel);
        join(channel);
      }
    },
    stop() {
      watched.clear();
      retries.stop();
    },
  };
}

/**
 * The channels for what is on the screen. A department's channel brings the messages of all its conversations; the
 * channel of a conversation is needed for the one that is open, and where no department brings it. `conversations` are
 * those that the user may listen to.
 */
export function channelsFor({ userId, departments, conversations, openId }) {
  const wanted = new Set([`user.${userId}`, ...departments.map(({ id }) => `department.${id}`)]);
  for (const { id, department } of conversations) {
    const isBrought = department && wanted.has(`department.${department.id}`);
    if (id === openId || !isBrought) wanted.add(`conversation.${id}`);
  }
  return wanted;
}
