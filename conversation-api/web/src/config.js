// Where the relay is.

/**
 * What the page is told at run time by `config.json`, which lies beside it, over what it was built with:
 *
 *     { "pusher": { "key", "host", "port", "scheme", "cluster" },
 *       "demo": { "password", "accounts": [{ "email", "name", "role" }] } }
 *
 * All of it may be absent.
 */
export async function loadConfig() {
  const told = await toldAtRunTime();
  const built = import.meta.env;
  const pusher = told.pusher ?? {};
  return {
    pusher: {
      key: pusher.key || built.VITE_PUSHER_APP_KEY || "local",
      host: pusher.host || built.VITE_PUSHER_HOST || location.hostname,
      port: Number(pusher.port || built.VITE_PUSHER_PORT || 6001),
      scheme: pusher.scheme || built.VITE_PUSHER_SCHEME || "http",
      cluster: pusher.cluster || built.VITE_PUSHER_APP_CLUSTER || "mt1",
    },
    demo: told.demo ?? null,
  };
}

async function toldAtRunTime() {
  try {
    const response = await fetch("config.json", { cache: "no-store" });
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}
