// Where the relay is.

const ANSWER_MS = 10_000;
const ASK_AGAIN_MS = 2000;

/**
 * The page is configured at run time: by `config.json`, which lies beside it, and by the API, which knows the app's key.
 * What neither names it was built with. `config.json` may hold, or leave out,
 *
 *     { "pusher": { "key", "host", "port", "scheme", "cluster" },
 *       "demo": { "password", "accounts": [{ "email", "name", "role", "department" }] } }
 *
 * @param {() => void} waiting called whenever an outage of the backend delays the answer
 */
export async function loadConfig(waiting) {
  const [local, api] = await Promise.all([fetchJson("config.json", waiting), fetchJson("/broadcasting/config", waiting)]);
  const built = import.meta.env;
  const pusher = local.pusher ?? {};
  return {
    pusher: {
      key: pusher.key || api.key || built.VITE_PUSHER_APP_KEY || "local",
      host: pusher.host || built.VITE_PUSHER_HOST || location.hostname,
      port: Number(pusher.port || built.VITE_PUSHER_PORT || 6001),
      scheme: pusher.scheme || built.VITE_PUSHER_SCHEME || "http",
      cluster: pusher.cluster || built.VITE_PUSHER_APP_CLUSTER || "mt1",
    },
    demo: local.demo ?? null,
  };
}

/** What an address answers; nothing, if it is refused. An outage is waited for: without the key nothing would be live. */
async function fetchJson(address, waiting) {
  for (;;) {
    try {
      const response = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
      if (response.ok) return await response.json().catch(() => ({}));
      if (response.status < 500) return {};
      // A backend that has no relay configured answers so itself, with a message; a proxy without a backend does not.
      if (response.status === 503 && (await response.json()).message) return {};
    } catch {
      // Asked again.
    }
    waiting();
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}
