// All that is live in the page.
import { channelsFor, createChannels } from "./channels.js";
import { watchConnection } from "./connection.js";
import { createPresence } from "./presence.js";
import { createEcho } from "./websocket.js";

/** @param {object} on what to do with what is heard: heard, caughtUp, connection, viewers, typing */
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
      presence.attend(screen.openId);
    },
    sayTyping: presence.say,
    doneTyping: presence.done,
    sent: presence.sent,
    retry: connection.retry,
    stop() {
      channels.stop();
      connection.stop();
    },
  };
}
