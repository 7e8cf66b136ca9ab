// What clients and backends are to be given, ready to paste.

/** @typedef {{ host: string, port: string, tls: boolean }} Place where clients reach the relay */
/** @typedef {Place & { id: string, key: string, secret: string }} Given */

/**
 * Where the relay can be reached, as far as its configuration says.
 * @param {any} config
 * @returns {Place}
 */
export function publicAddress(config) {
  const first = (/** @type {unknown} */ listen) => String([listen ?? ""].flat()[0] ?? "");
  const tls = first(config?.tls?.listen);
  const port = /:(\d+)$/.exec(tls === "" ? first(config?.server?.listen) : tls)?.[1] ?? "6001";
  return { host: location.hostname, port, tls: tls !== "" };
}

/** @param {string} text as a string of JavaScript, Python and Ruby */
function q(text) {
  return JSON.stringify(text);
}

/** @param {string} text as a string of PHP */
function php(text) {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}

/** @param {Given} given */
function scheme({ tls }) {
  return tls ? "https" : "http";
}

/** Numbers go in as such, anything else as a text that shows what is wrong. @param {string} port */
function number(port) {
  return /^\d+$/.test(port) ? port : q(port);
}

/** @type {{ name: string, text: (given: Given) => string }[]} */
export const SNIPPETS = [
  {
    name: "Laravel Echo", text: (it) => `import Echo from "laravel-echo";
import Pusher from "pusher-js";

window.Pusher = Pusher;
window.Echo = new Echo({
  broadcaster: "pusher",
  key: ${q(it.key)},
  cluster: "",
  wsHost: ${q(it.host)},
  wsPort: ${number(it.port)},
  wssPort: ${number(it.port)},
  forceTLS: ${it.tls},
  enabledTransports: ["ws", "wss"],
});`,
  },
  {
    name: "pusher-js", text: (it) => `import Pusher from "pusher-js";

const pusher = new Pusher(${q(it.key)}, {
  cluster: "",
  wsHost: ${q(it.host)},
  wsPort: ${number(it.port)},
  wssPort: ${number(it.port)},
  forceTLS: ${it.tls},
  enabledTransports: ["ws", "wss"],
});
pusher.subscribe("news").bind("message", (data) => console.log(data));`,
  },
  {
    name: "Laravel .env", text: (it) => `BROADCAST_CONNECTION=pusher
PUSHER_APP_ID=${it.id}
PUSHER_APP_KEY=${it.key}
PUSHER_APP_SECRET=${it.secret}
PUSHER_HOST=${it.host}
PUSHER_PORT=${it.port}
PUSHER_SCHEME=${scheme(it)}
PUSHER_APP_CLUSTER=mt1

VITE_PUSHER_APP_KEY="\${PUSHER_APP_KEY}"
VITE_PUSHER_HOST="\${PUSHER_HOST}"
VITE_PUSHER_PORT="\${PUSHER_PORT}"
VITE_PUSHER_SCHEME="\${PUSHER_SCHEME}"
VITE_PUSHER_APP_CLUSTER="\${PUSHER_APP_CLUSTER}"`,
  },
  {
    name: "PHP", text: (it) => `$pusher = new Pusher\\Pusher(${php(it.key)}, ${php(it.secret)}, ${php(it.id)}, [
    'host' => ${php(it.host)},
    'port' => ${number(it.port)},
    'scheme' => '${scheme(it)}',
    'useTLS' => ${it.tls},
]);
$pusher->trigger('news', 'message', ['text' => 'hello']);`,
  },
  {
    name: "Node", text: (it) => `import Pusher from "pusher";

const pusher = new Pusher({
  appId: ${q(it.id)},
  key: ${q(it.key)},
  secret: ${q(it.secret)},
  host: ${q(it.host)},
  port: ${q(it.port)},
  useTLS: ${it.tls},
});
await pusher.trigger("news", "message", { text: "hello" });`,
  },
  {
    name: "Python", text: (it) => `import pusher

client = pusher.Pusher(
    app_id=${q(it.id)},
    key=${q(it.key)},
    secret=${q(it.secret)},
    host=${q(it.host)},
    port=${number(it.port)},
    ssl=${it.tls ? "True" : "False"},
)
client.trigger("news", "message", {"text": "hello"})`,
  },
  {
    name: "Ruby", text: (it) => `require "pusher"

pusher = Pusher::Client.new(
  app_id: ${q(it.id)},
  key: ${q(it.key)},
  secret: ${q(it.secret)},
  host: ${q(it.host)},
  port: ${number(it.port)},
  scheme: ${q(scheme(it))},
)
pusher.trigger("news", "message", { text: "hello" })`,
  },
  {
    name: "curl", text: (it) => {
      const path = `/apps/${it.id}/events`;
      return `body='{"name":"message","channel":"news","data":"{\\"text\\":\\"hello\\"}"}'
md5=$(printf %s "$body" | openssl md5 -r | cut -d' ' -f1)
query="auth_key=${it.key}&auth_timestamp=$(date +%s)&auth_version=1.0&body_md5=$md5"
signature=$(printf 'POST\\n${path}\\n%s' "$query" |
  openssl dgst -sha256 -hmac '${it.secret}' -r | cut -d' ' -f1)
curl --json "$body" "${scheme(it)}://${it.host}:${it.port}${path}?$query&auth_signature=$signature"`;
    },
  },
];
