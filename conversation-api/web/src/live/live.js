// All that is live in the page.
import { channelsFor, createChannels } from "./channels.js";
import { watchConnection } from "./connection.js";
import { createPresence } from "./presence.js";
import { createEcho } from "./websocket.js";

/**
 * @param {object} on what to do with what comes: message, updated, assigned, changed, caughtUp (see events.js),
 *     unauthenticated (the log-in is worth nothing any more), connection, viewers, typing and presence
 */
export function goLive(config, token, on) {
  const echo = createEcho(config.pusher, token);
  const channels = createChannels(echo, on);
  const presence = createPresence(echo, on);
  const connection = watchConnection(echo.connector, (state) => {
    if (state !== "connected") presence.forget();
    on.connection(state);
  });
  return {
    socketId: () => echo.socketId(),
    /** Listens to what is on the screen. */
    follow(screen) {
      channels.watch(channelsFor(screen));
      presence.attend(screen.conversations.some(({ id }) => id === screen.openId) ? screen.openId : null);
    },
    sendTyping: presence.sendTyping,
    doneTyping: presence.doneTyping,
    wrote: presence.wrote,
    retry: connection.retry,
    stop() {
      channels.stop();
      presence.stop();
      connection.stop();
    },
  };
}
