// The connection to the relay: its state, and not waiting too long for the next attempt.

/** pusher-js gives an attempt 15 seconds, and the next one 30. People who wait for messages are less patient. */
const PATIENCE_MS = [2500, 4000, 8000, 15_000];

export function watchConnection({ pusher }, changed) {
  let timer = null;
  let attempts = 0;
  let stopped = false;

  function retry() {
    attempts += 1;
    pusher.disconnect();
    pusher.connect();
  }

  pusher.connection.bind("state_change", ({ current }) => {
    if (stopped) return;
    clearTimeout(timer);
    if (current === "connected") attempts = 0;
    else timer = setTimeout(retry, PATIENCE_MS[Math.min(attempts, PATIENCE_MS.length - 1)]);
    changed(current === "connected" ? "connected" : "connecting");
  });

  return {
    retry() {
      if (pusher.connection.state !== "connected") retry();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      pusher.disconnect();
    },
  };
}
