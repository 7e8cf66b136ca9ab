// Who is connected to this node, and ways to end it.
import { get, path, reason, regularly, send } from "./api.mjs";
import { confirmed, note } from "./dialog.mjs";
import { fill, h, say, visible } from "./dom.mjs";
import { count, plural, size, when } from "./format.mjs";
import { icon } from "./icons.mjs";
import { List, empty } from "./list.mjs";
import { failed, picker } from "./picker.mjs";

/** @import { Context } from "./main.mjs" */

/**
 * @typedef {object} Connection
 * @property {string} socket_id
 * @property {number} connected_at
 * @property {string | null} address
 * @property {string | null} user_id
 * @property {string} carrier
 * @property {string} transport
 * @property {boolean} compressed
 * @property {number} subscriptions
 * @property {number} waiting_bytes
 * @property {{ name: string, user_id: string | null }[]} [channels]
 */

const TRANSPORTS = /** @type {Record<string, string>} */ ({
  tcp: "WebSocket", tls: "WebSocket, TLS", xhr_streaming: "HTTP streaming", xhr_polling: "HTTP polling", away: "away, may come back",
});

const RECONNECT = "Have clients connect again at once (4200). Otherwise they are sent away (4009) and stay away.";

/** @param {Context} context */
export function connections(context) {
  const [app, socket] = context.parts;
  if (app !== undefined && socket !== undefined) one(context, app, socket);
  else all(context);
}

/**
 * Asks, closes, and says what came of it. Returns whether it was done.
 * @param {string} title
 * @param {string} text
 * @param {string[]} segments of the path
 * @param {string} done
 * @param {Record<string, string | boolean>} [query]
 */
async function close(title, text, segments, done, query = {}) {
  const answer = await confirmed(title, text, "Close", RECONNECT);
  if (answer === null) return false;
  try {
    const said = await send("DELETE", path(segments, { ...query, reconnect: answer.ticked }));
    note(said === null ? done : `${plural(said.closing, "connection")} ${said.closing === 1 ? "is" : "are"} being closed.`);
    return true;
  } catch (error) {
    note(reason(error), "bad");
    return false;
  }
}

/** @param {Context} context */
function all({ root, signal, query, keep, actions, mayChange }) {
  let app = "";
  /** @type {Connection[]} */ let shown = [];
  /** @type {string | null} */ let next = null;
  let busy = false, round = 0;
  const problem = h("div", {});
  const total = h("span", { class: "muted", "aria-live": "polite" });
  /** @type {List<Connection>} */
  const list = new List({
    label: "Connections", layout: "connections-list", columns: ["Socket", "Since", "User", "Address", "Over", "Channels", "Waiting"],
    cells: (connection) => [
      h("a", { class: "mono", href: address(app, connection.socket_id) }, connection.socket_id), when(connection.connected_at),
      h("span", {}, visible(connection.user_id ?? "–")), h("span", { class: "mono" }, visible(connection.address ?? "Unix socket")),
      h("span", {}, TRANSPORTS[connection.transport] ?? connection.transport, connection.compressed && h("span", { class: "badge" }, "compressed")),
      h("span", { class: "number" }, count(connection.subscriptions)), h("span", { class: "number" }, connection.waiting_bytes > 0 ? size(connection.waiting_bytes) : "–"),
    ],
    open: (connection) => { location.hash = address(app, connection.socket_id); },
    end: () => { if (next !== null && !busy && search.value === "") load(false); },
    empty: empty("No connections", "No client of this app is connected to this node. ", h("a", { href: "#/apps" }, "Apps and keys"), " has what a client needs."),
  });
  const draw = () => {
    const wanted = search.value.trim().toLowerCase();
    list.set(wanted === "" ? shown : shown.filter((it) => [it.socket_id, it.user_id, it.address].some((text) => text?.toLowerCase().includes(wanted))));
  };
  const search = h("input", {
    class: "input", type: "search", placeholder: "Search sockets, users, addresses", "aria-label": "Search sockets, users, addresses",
    "data-search": true, value: query.get("q") ?? "", oninput: () => { keep({ q: search.value }); draw(); rest(); },
  });
  /** What is searched for may be in parts that were not loaded yet. */
  const rest = async () => { while (search.value !== "" && next !== null && !signal.aborted && !busy) await load(false); };
  /** @param {boolean} anew */
  const load = async (anew) => {
    if (app === "") return;
    busy = true;
    if (anew) round += 1;
    const mine = round;
    try {
      const part = await get(path(["apps", app, "connections"], { limit: 1000, after: anew ? null : next }), signal);
      if (mine !== round) return;
      shown = anew ? part.connections : [...shown, ...part.connections];
      next = part.next;
      busy = false;
      say(total, `${plural(part.total, "connection")} to this node`);
      fill(problem);
      draw();
      if (anew) rest();
    } catch (error) {
      if (signal.aborted || mine !== round) return;
      busy = false;
      next = null;
      fill(problem, failed(error, () => load(true)));
    }
  };
  const choice = picker({ wanted: query.get("app"), signal, onChange: (id) => { app = id; keep({ app: id }); load(true); } });
  const user = h("input", { class: "input", placeholder: "User id", "aria-label": "User id", required: true, spellcheck: "false" });
  // Nothing is closed before it is known of which app.
  const closeUser = h("button", { class: "button", type: "submit", disabled: true }, "Close the user's");
  const closeAll = h("button", {
    class: "button danger", type: "button", disabled: true,
    onclick: async () => {
      const done = await close("Close all connections?", `All connections of the app ${visible(app)} to this node are closed.`, ["apps", app, "connections"], "", { all: true });
      if (done) load(true);
    },
  }, "Close all of the app");
  const ofUser = h("form", {
    class: "inline-form",
    onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      const done = await close("Close a user's connections?", `All connections that are signed in as ${visible(user.value)}, on all nodes, are closed.`,
        ["apps", app, "users", "connections"], "The user's connections are closed.", { user: user.value });
      if (done) load(true);
    },
  }, user, closeUser);
  actions(h("button", { class: "button", type: "button", onclick: () => load(true) }, icon("refresh"), "Refresh"),
    ...(mayChange ? [closeAll] : []));
  fill(root, h("div", { class: "card toolbar" }, h("div", { class: "toolbar-row" }, choice.element, search, total, mayChange && ofUser)), problem,
    h("div", { class: "card" }, list.element));
  choice.ready.then((id) => {
    if (id === null) { list.set([]); return; }
    app = id;
    closeUser.disabled = closeAll.disabled = false;
    load(true);
  }).catch((error) => { if (!signal.aborted) fill(problem, failed(error, () => location.reload())); });
}

/** @param {string} app @param {string} socket */
function address(app, socket) {
  return `#/connections/${encodeURIComponent(app)}/${encodeURIComponent(socket)}`;
}

/**
 * @param {Context} context
 * @param {string} app
 * @param {string} socket
 */
function one({ root, signal, actions, mayChange }, app, socket) {
  const facts = h("section", { class: "card" }, h("h2", {}, "Connection"), h("div", { class: "skeleton" }));
  const total = h("span", { class: "muted" });
  /** @type {List<{ name: string, user_id: string | null }>} */
  const list = new List({
    label: "Subscriptions", layout: "subscriptions-list", columns: ["Channel", "As user"], key: (channel) => channel.name,
    cells: (channel) => [
      h("a", { href: `#/channels/${encodeURIComponent(app)}/${encodeURIComponent(channel.name)}` }, visible(channel.name)), visible(channel.user_id ?? "–")]
      .map((cell) => (typeof cell === "string" ? h("span", {}, cell) : cell)),
    empty: empty("No subscriptions", "The connection is subscribed to nothing: it gets no events."),
  });
  const problem = h("div", { class: "banner", role: "alert" });
  problem.hidden = true;
  actions(
    h("a", { class: "button", href: `#/trace?app=${encodeURIComponent(app)}&by=socket&value=${encodeURIComponent(socket)}` }, icon("trace"), "Trace"),
    ...(mayChange ? [h("button", {
      class: "button danger", type: "button",
      onclick: () => close("Close the connection?", `The connection ${visible(socket)} is closed.`, ["apps", app, "connections", socket], "The connection is closed."),
    }, "Close")] : []));
  fill(root, h("p", { class: "crumbs" }, h("a", { href: `#/connections?app=${encodeURIComponent(app)}` }, icon("back"), "Connections of ", visible(app))),
    h("h2", { class: "subject mono" }, visible(socket)), problem,
    h("div", { class: "split wide-left" }, h("section", { class: "card" }, h("header", { class: "card-head" }, h("h2", {}, "Subscriptions"), total), list.element), facts));
  regularly(3000, signal, async () => {
    try {
      const it = /** @type {Connection} */ (await get(path(["apps", app, "connections", socket]), signal));
      const subscribed = it.channels ?? [];
      list.set(subscribed);
      say(total, count(subscribed.length));
      fill(facts, h("h2", {}, "Connection"), h("dl", { class: "facts" },
        h("dt", {}, "Since"), h("dd", {}, when(it.connected_at)), h("dt", {}, "User"), h("dd", {}, visible(it.user_id ?? "not signed in")),
        h("dt", {}, "Address"), h("dd", { class: "mono" }, visible(it.address ?? "Unix socket")),
        h("dt", {}, "Over"), h("dd", {}, TRANSPORTS[it.transport] ?? it.transport), h("dt", {}, "Compressed"), h("dd", {}, it.compressed ? "yes" : "no"),
        h("dt", {}, "Waiting"), h("dd", {}, it.waiting_bytes > 0 ? `${size(it.waiting_bytes)} that the client has not taken` : "nothing")));
      problem.hidden = true;
    } catch (error) {
      if (signal.aborted) return;
      problem.hidden = false;
      say(problem, reason(error));
      list.set(list.items);
    }
  });
}
