// Which channels are subscribed to: always those that are wanted now.
import { listenToMessages } from "./events.js";

/** How long after a backend that could not say whether we may listen it is asked again. */
const ASK_AGAIN_MS = 3000;

export function createChannels(echo, { heard, caughtUp }) {
  const watched = new Set();

  function join(channel) {
    listenToMessages(echo, channel, {
      heard,
      caughtUp,
      refused(status) {
        const isFinal = status >= 400 && status < 500 && status !== 429;
        if (!isFinal) setTimeout(joinAgain, ASK_AGAIN_MS, channel);
      },
    });
  }

  function joinAgain(channel) {
    if (!watched.has(channel)) return;
    leave(channel);
    join(channel);
  }

  const leave = (channel) => echo.leaveChannel(`private-${channel}`);

  return {
    /** Subscribes to what is new among `wanted`, and leaves what is there no more. */
    watch(wanted) {
      for (const channel of watched) {
        if (!wanted.has(channel) && watched.delete(channel)) leave(channel);
      }
      for (const channel of wanted) {
        if (watched.has(channel)) continue;
        watched.add(channel);
        join(channel);
      }
    },
    stop: () => watched.clear(),
  };
}

/**
 * The channels for what is on the screen. A department's channel brings the messages of all its conversations; the
 * channel of a conversation is needed for the one that is open, and where no department brings it.
 */
export function channelsFor({ departments, conversations, openId }) {
  const wanted = new Set(departments.map(({ id }) => `department.${id}`));
  for (const { id, department } of conversations) {
    const isBrought = department && wanted.has(`department.${department.id}`);
    if (id === openId || !isBrought) wanted.add(`conversation.${id}`);
  }
  return wanted;
}
