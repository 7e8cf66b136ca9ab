// Where the relay is.

/**
 * The page is told at run time: by `config.json`, which lies beside it, and by the API, which knows the app's key. What
 * neither says it was built with. `config.json` may hold, or leave out,
 *
 *     { "pusher": { "key", "host", "port", "scheme", "cluster" },
 *       "demo": { "password", "accounts": [{ "email", "name", "role", "department" }] } }
 */
export async function loadConfig() {
  const [told, api] = await Promise.all([fetchJson("config.json"), fetchJson("/broadcasting/config")]);
  const built = import.meta.env;
  const pusher = told.pusher ?? {};
  return {
    pusher: {
      key: pusher.key || api.key || built.VITE_PUSHER_APP_KEY || "local",
      host: pusher.host || built.VITE_PUSHER_HOST || location.hostname,
      port: Number(pusher.port || built.VITE_PUSHER_PORT || 6001),
      scheme: pusher.scheme || built.VITE_PUSHER_SCHEME || "http",
      cluster: pusher.cluster || built.VITE_PUSHER_APP_CLUSTER || "mt1",
    },
    demo: told.demo ?? null,
  };
}

/** What an address answers; nothing, if it does not. */
async function fetchJson(address) {
  try {
    const response = await fetch(address, { cache: "no-store" });
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}
