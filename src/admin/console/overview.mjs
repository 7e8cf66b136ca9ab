// What the relay is doing, and did in the last hour.
import { get, path, reason, regularly } from "./api.mjs";
import { Chart, sparkline } from "./charts.mjs";
import { fill, h, say, visible } from "./dom.mjs";
import { count, duration, plural, rate, size, when } from "./format.mjs";
import { List, empty } from "./list.mjs";
import { BY_PREFIX, allApps, numbered, once } from "./picker.mjs";

/** @import { Context } from "./main.mjs" */
/** @import { App } from "./picker.mjs" */

/** Milliseconds between looks, and samples of an hour. */
const EVERY = 5000, KEPT = 720;

/** @typedef {Record<string, (number | null)[]>} History */
/** @typedef {App & { sent: number, received: number }} Row */

const TILES = /** @type {const} */ ([
  { key: "connections", name: "Connections", unit: "", tone: "tone-1", shown: count },
  { key: "messages_sent", name: "Messages out", unit: "/s", tone: "tone-1", shown: rate },
  { key: "messages_received", name: "Messages in", unit: "/s", tone: "tone-2", shown: rate },
  { key: "publishes", name: "Publishes", unit: "/s", tone: "tone-3", shown: rate },
  { key: "p99", name: "Latency, p99", unit: "", tone: "tone-2", shown: duration },
  { key: "errors", name: "Errors", unit: "/s", tone: "tone-bad", shown: rate },
]);

/** @param {Context} context */
export function overview({ root, signal, query, keep }) {
  /** @type {History} */ let history = {};
  const tiles = TILES.map((tile) => {
    const value = h("b", { class: "tile-value" }, "–");
    const chart = h("div", { class: "tile-spark" });
    const element = h("section", { class: "card tile" }, h("h2", {}, tile.name),
      h("p", {}, value, tile.unit !== "" && h("span", { class: "unit" }, tile.unit)), chart);
    return { ...tile, value, chart, element };
  });
  const problem = h("div", { class: "banner", role: "alert" });
  problem.hidden = true;
  const announced = h("p", { class: "off-screen", "aria-live": "polite" });
  const charts = {
    connections: new Chart("Connections", count),
    messages: new Chart("Messages a second", rate),
    publishes: new Chart("Publishes a second", rate),
    latency: new Chart("Publish to write", duration),
    bytes: new Chart("Bytes a second", size),
    errors: new Chart("Errors a second", rate),
  };
  const node = h("section", { class: "card node" }, h("h2", {}, "Node"), h("div", { class: "skeleton" }));
  const table = appsTable(query, keep, signal);
  const warnings = h("div", { class: "warnings", "aria-label": "Warnings", role: "group" });
  warnings.hidden = true;
  fill(root, problem, warnings, announced, h("div", { class: "tiles" }, ...tiles.map((tile) => tile.element)),
    h("div", { class: "charts" }, ...Object.values(charts).map((chart) => chart.element)),
    h("div", { class: "split" }, table.element, node));

  const draw = () => {
    const at = /** @type {number[]} */ (history.at ?? []);
    /** @param {string} key */
    const of = (key) => history[key] ?? [];
    for (const tile of tiles) {
      const values = of(tile.key);
      const now = values.at(-1);
      say(tile.value, now === null || now === undefined ? "–" : tile.shown(now));
      fill(tile.chart, sparkline(values.slice(-120), tile.tone));
    }
    charts.connections.set(at, [{ name: "connections", tone: "tone-1", values: of("connections") }, { name: "channels", tone: "tone-3", values: of("channels") }]);
    charts.messages.set(at, [{ name: "out", tone: "tone-1", values: of("messages_sent") }, { name: "in", tone: "tone-2", values: of("messages_received") }]);
    charts.publishes.set(at, [{ name: "HTTP", tone: "tone-3", values: of("publishes") }, { name: "clients", tone: "tone-2", values: of("client_events") }]);
    charts.latency.set(at, [{ name: "p99", tone: "tone-2", values: of("p99") }, { name: "p50", tone: "tone-1", values: of("p50") }]);
    charts.bytes.set(at, [{ name: "out", tone: "tone-1", values: of("sent_bytes") }, { name: "in", tone: "tone-2", values: of("received_bytes") }]);
    charts.errors.set(at, [{ name: "errors", tone: "tone-bad", values: of("errors") }]);
    const connections = of("connections").at(-1);
    if (typeof connections === "number") say(announced, plural(connections, "connection"));
  };

  regularly(EVERY, signal, async () => {
    try {
      // After the first time only what is new; a page that was asleep asks for all it has missed.
      const newest = history.at?.at(-1);
      const missed = typeof newest === "number" ? Math.ceil((Date.now() / 1000 - newest) / 5) + 2 : KEPT;
      const last = Math.min(KEPT, Math.max(1, missed));
      const prefix = table.prefix();
      const [more, apps, nodes, config] = await Promise.all([
        get(path(["history"], { last }), signal), allApps(signal, table.prefix()), get(path(["nodes"]), signal).catch(() => null), get(path(["config"]), signal).catch(() => null),
      ]);
      history = merged(history, more);
      draw();
      if (table.prefix() === prefix) table.set(apps.apps, apps.total);
      else table.ask();
      drawWarnings(warnings, nodes, config);
      if (nodes !== null) drawNode(node, nodes);
      problem.hidden = true;
    } catch (error) {
      if (signal.aborted) return;
      problem.hidden = false;
      say(problem, `${reason(error)} What is shown is what was there before.`);
    }
  });
}

/**
 * @param {History} history
 * @param {History} more
 * @returns {History}
 */
function merged(history, more) {
  const newest = history.at?.at(-1) ?? -1;
  const fresh = (more.at ?? []).map((time) => time !== null && newest !== null && time > newest);
  /** @type {History} */ const all = {};
  for (const [key, values] of Object.entries(more)) {
    if (!Array.isArray(values)) continue;
    all[key] = [...(history[key] ?? []), ...values.filter((_, index) => fresh[index])].slice(-KEPT);
  }
  return all;
}

const STANDINGS = /** @type {Record<string, string>} */ ({
  well: "in touch with the cluster", away: "Redis is out of reach", refused: "the cluster refuses this node", not_yet: "not yet part of the cluster",
});

/**
 * @param {HTMLElement} card
 * @param {any} nodes
 */
function drawNode(card, nodes) {
  const { this: own, cluster } = nodes;
  const standing = own.cluster ? STANDINGS[own.standing] ?? own.standing : "by itself, no cluster";
  fill(card, h("h2", {}, "Node"), h("dl", { class: "facts" },
    h("dt", {}, "Version"), h("dd", {}, own.version),
    h("dt", {}, "Started"), h("dd", {}, when(own.started_at)),
    h("dt", {}, "Apps"), h("dd", {}, count(own.apps)),
    h("dt", {}, "Cluster"), h("dd", {}, standing),
    own.cluster && h("dt", {}, "Nodes"), own.cluster && h("dd", {}, count(cluster.length)),
    h("dt", {}, "State"), h("dd", {}, own.draining ? h("span", { class: "badge bad" }, "draining") : h("span", { class: "badge good" }, "serving"))),
  own.cluster && cluster.length > 0 && h("ul", { class: "plain mono" }, ...cluster.map((/** @type {string} */ id) => h("li", {}, visible(id)))));
}

/**
 * What is wrong with how the node is set up, and what of its configuration waits.
 * @param {HTMLElement} place
 * @param {any} nodes
 * @param {any} config
 */
function drawWarnings(place, nodes, config) {
  /** @type {string[]} */ const waiting = config?.needs_restart ?? [];
  /** @type {string[]} */ const texts = [...(nodes?.this.warnings ?? [])];
  if (config?.last_reload_error) texts.push(`The configuration could not be read again, and what was read before holds: ${config.last_reload_error}`);
  if (waiting.length > 0) texts.push(`Changed in the configuration, and in force when the relay is started again: ${waiting.join(", ")}`);
  const shown = [...place.children].map((child) => child.textContent);
  const wanted = texts.map((text) => visible(text));
  if (shown.join("\n") !== wanted.join("\n")) fill(place, ...wanted.map((text) => h("p", { class: "banner" }, text)));
  place.hidden = texts.length === 0;
}

/** A rate is known once an app was looked at twice. @param {number} value */
function known(value) {
  return Number.isNaN(value) ? "–" : rate(value);
}

/**
 * @param {URLSearchParams} query
 * @param {Context["keep"]} keep
 * @param {AbortSignal} signal
 */
function appsTable(query, keep, signal) {
  /** @type {Map<string, { sent: number, received: number, at: number }>} */ const before = new Map();
  /** @type {Row[]} */ let rows = [];
  let [by, order] = (query.get("sort") ?? "connections.down").split(".");
  const columns = /** @type {const} */ ([["id", "App"], ["connections", "Connections"], ["channels", "Channels"], ["sent", "Out/s"], ["received", "In/s"], ["errors", "Errors"]]);
  const heads = columns.map(([key, name]) => h("button", {
    type: "button", class: "sort", "aria-label": `Sort by ${name.toLowerCase()}`,
    onclick: () => {
      if (by === key) order = order === "down" ? "up" : "down";
      else { by = key; order = key === "id" ? "up" : "down"; }
      keep({ sort: `${by}.${order}` });
      draw();
    },
  }, name));
  /** @type {List<Row>} */
  const list = new List({
    label: "Apps", layout: "apps-list", columns: heads, key: (row) => row.id,
    cells: (row) => [
      h("span", {}, h("a", { href: `#/apps/${encodeURIComponent(row.id)}` }, visible(row.id)), !row.enabled && h("span", { class: "badge bad" }, "disabled")),
      h("span", { class: "number" }, count(row.connections)), h("span", { class: "number" }, count(row.channels)),
      h("span", { class: "number" }, known(row.sent)), h("span", { class: "number" }, known(row.received)), h("span", { class: "number" }, count(row.errors)),
    ],
    empty: empty("No apps", "An app is a section ", h("code", {}, "[[apps]]"), " of config.toml, or is made by POST /api/apps."),
  });
  const search = h("input", {
    class: "input", type: "search", placeholder: "Search apps", "aria-label": "Search apps", "data-search": true, value: query.get("q") ?? "",
    oninput: () => { keep({ q: search.value }); draw(); if (areMore) ask(); },
  });
  /** Whether there are more apps than the page has: the relay searches then. */
  let areMore = false;
  const prefix = () => (areMore ? search.value.trim() : "");
  const ask = once(async () => {
    const wanted = prefix();
    const answer = await allApps(signal, wanted).catch(() => null);
    if (answer !== null && prefix() === wanted) set(answer.apps, answer.total);
  });
  const total = h("span", { class: "muted" });
  const draw = () => {
    const wanted = areMore ? "" : search.value.toLowerCase();
    const sign = order === "up" ? 1 : -1;
    const found = rows.filter((row) => row.id.toLowerCase().includes(wanted));
    const key = /** @type {"id" | "connections"} */ (by);
    found.sort((one, other) => sign * (key === "id" ? one.id.localeCompare(other.id) : (one[key] || 0) - (other[key] || 0)) || one.id.localeCompare(other.id));
    heads.forEach((head, index) => {
      const is = columns[index]?.[0] === by;
      head.dataset.order = is ? order ?? "" : "";
      head.parentElement?.setAttribute("aria-sort", is ? (order === "up" ? "ascending" : "descending") : "none");
    });
    list.set(found);
  };
  /** @param {App[]} apps @param {number} all */
  const set = (apps, all) => {
    const now = performance.now();
    const seen = new Map(before);
    before.clear();
    rows = apps.map((app) => {
      const last = seen.get(app.id);
      const seconds = last === undefined ? 0 : (now - last.at) / 1000;
      const since = (/** @type {number} */ value, /** @type {number} */ then) => (seconds > 0 ? Math.max(0, value - then) / seconds : NaN);
      before.set(app.id, { sent: app.messages_sent, received: app.messages_received, at: now });
      return { ...app, sent: since(app.messages_sent, last?.sent ?? 0), received: since(app.messages_received, last?.received ?? 0) };
    });
    say(total, numbered(apps.length, all, prefix()));
    if (!areMore && all > apps.length) {
      areMore = true;
      search.placeholder = BY_PREFIX;
      search.setAttribute("aria-label", BY_PREFIX);
      if (search.value.trim() !== "") ask();
    }
    draw();
  };
  const head = h("header", { class: "card-head" }, h("h2", {}, "Apps"), total, search);
  return { element: h("section", { class: "card apps-card" }, head, list.element), set, prefix, ask };
}
