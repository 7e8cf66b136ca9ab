// The apps: their settings, keys, and what clients and backends need of them.
import { get, path, reason } from "./api.mjs";
import { appActions, otherKey } from "./appactions.mjs";
import { editApp, newApp } from "./appform.mjs";
import { copyButton } from "./dialog.mjs";
import { fill, h, say, visible } from "./dom.mjs";
import { count } from "./format.mjs";
import { icon } from "./icons.mjs";
import { List, empty } from "./list.mjs";
import { BY_PREFIX, allApps, failed, numbered, once } from "./picker.mjs";
import { SNIPPETS, publicAddress } from "./snippets.mjs";

/** @import { Context } from "./main.mjs" */
/** @import { App } from "./picker.mjs" */
/** @import { Place } from "./snippets.mjs" */

/** Stands in snippets until the secret is shown. */
const HIDDEN = "YOUR_APP_SECRET";

/** @param {Context} context */
export function apps(context) {
  const [app, what] = context.parts;
  if (app !== undefined && app !== "") {
    if (what === "edit" && context.mayChange) editApp(context, app);
    else one(context, app);
  } else if (context.query.has("new") && context.mayChange) newApp(context);
  else all(context);
}

/** @param {Context} context */
function all({ root, signal, query, keep, actions, mayChange }) {
  if (mayChange) actions(h("a", { class: "button primary", href: "#/apps?new=app" }, icon("plus"), "New app"));
  /** @type {App[]} */ let known = [];
  const total = h("span", { class: "muted" });
  /** @type {List<App>} */
  const list = new List({
    label: "Apps", layout: "settings-list", columns: ["App", "Key", "From", "Connections"],
    cells: (app) => [
      h("span", {}, h("a", { href: `#/apps/${encodeURIComponent(app.id)}` }, visible(app.id)), !app.enabled && h("span", { class: "badge bad" }, "disabled")),
      h("span", { class: "mono" }, visible(app.key)), h("span", { class: "muted" }, app.source), h("span", { class: "number" }, count(app.connections)),
    ],
    open: (app) => { location.hash = `#/apps/${encodeURIComponent(app.id)}`; },
    empty: empty("No apps", "An app is a section ", h("code", {}, "[[apps]]"), " of config.toml, or is made here."),
  });
  const search = h("input", {
    class: "input", type: "search", placeholder: "Search ids and keys", "aria-label": "Search ids and keys", "data-search": true, value: query.get("q") ?? "",
    oninput: () => { keep({ q: search.value }); draw(); if (areMore) ask(); },
  });
  /** Whether there are more apps than the page has: the relay searches then. */
  let areMore = false;
  const draw = () => {
    // What the relay has found begins so.
    const wanted = areMore ? "" : search.value.toLowerCase();
    list.set(known.filter((app) => app.id.toLowerCase().includes(wanted) || app.key.toLowerCase().includes(wanted)));
  };
  const problem = h("div", {});
  fill(root, h("div", { class: "card toolbar" }, h("div", { class: "toolbar-row" }, search, total)), problem, h("div", { class: "card" }, list.element));
  const load = async () => {
    const prefix = areMore ? search.value.trim() : "";
    try {
      const { apps: some, total: number } = await allApps(signal, prefix);
      if (areMore && search.value.trim() !== prefix) return;
      known = some;
      say(total, numbered(some.length, number, prefix));
      if (!areMore && number > some.length) {
        areMore = true;
        search.placeholder = BY_PREFIX;
        search.setAttribute("aria-label", BY_PREFIX);
        if (search.value.trim() !== "") await load();
      }
      draw();
    } catch (error) {
      if (!signal.aborted) fill(problem, failed(error, () => location.reload()));
    }
  };
  const ask = once(load);
  load();
}

/**
 * @param {Context} context
 * @param {string} id
 */
async function one(context, id) {
  const { root, signal, actions, mayChange } = context;
  const inAddress = encodeURIComponent(id);
  const links = [
    h("a", { class: "button", href: `#/webhooks?app=${inAddress}` }, icon("webhooks"), "Webhooks"),
    h("a", { class: "button", href: `#/connections?app=${inAddress}` }, icon("connections"), "Connections"),
  ];
  actions(...links);
  fill(root, h("div", { class: "card" }, ...Array.from({ length: 6 }, () => h("div", { class: "skeleton" }))));
  let app, config;
  try {
    [app, config] = await Promise.all([get(path(["apps", id]), signal), get(path(["config"]), signal).catch(() => null)]);
  } catch (error) {
    if (!signal.aborted) fill(root, failed(error, () => location.reload()));
    return;
  }
  const again = () => { if (!signal.aborted) one(context, id); };
  const isOurs = app.source === "database";
  actions(...links, ...(isOurs && mayChange ? appActions(app, signal, again) : []));
  let secret = HIDDEN;
  const place = publicAddress(config);
  const snippets = h("div", { class: "snippets" });
  const drawSnippets = () => fill(snippets, snippetTabs(id, app.key, () => secret, place));
  const secretText = h("code", { class: "mono" }, "••••••••••••");
  const said = h("p", { class: "field-error", role: "status" });
  const reveal = h("button", {
    class: "button small", type: "button", disabled: !mayChange, title: mayChange ? "" : "Takes a token of the role write",
    onclick: async () => {
      if (secret !== HIDDEN) { secret = HIDDEN; copySecret.disabled = true; say(secretText, "••••••••••••"); fill(reveal, icon("eye"), "Show"); drawSnippets(); return; }
      try {
        const { keys } = await get(path(["apps", id], { secrets: true }), signal);
        const own = keys?.find((/** @type {{ key: string }} */ pair) => pair.key === app.key);
        if (own === undefined) throw new Error("The relay did not hand the secret out");
        secret = own.secret;
        copySecret.disabled = false;
        say(secretText, visible(secret));
        say(said, "");
        fill(reveal, icon("eye"), "Hide");
        drawSnippets();
      } catch (error) {
        say(said, app.source === "configuration" ? `${reason(error)} The secret of an app of config.toml stands there.` : reason(error));
      }
    },
  }, icon("eye"), "Show");
  const copySecret = copyButton(() => secret, "the secret");
  copySecret.disabled = true;
  const keys = h("section", { class: "card" }, h("h2", {}, "Keys"), h("dl", { class: "facts" },
    h("dt", {}, "App id"), h("dd", { class: "with-button" }, h("code", {}, visible(app.id)), copyButton(() => app.id, "the app id")),
    h("dt", {}, "Key"), h("dd", { class: "with-button" }, h("code", {}, visible(app.key)), copyButton(() => app.key, "the key")),
    h("dt", {}, "Secret"), h("dd", { class: "with-button" }, secretText, reveal, copySecret),
    ...app.extra_keys.flatMap((/** @type {string} */ key) => [h("dt", {}, "Accepted, too"), otherKey(app, key, isOurs && mayChange, again)])), said);
  /** @param {string} name @param {unknown} value */
  const row = (name, value) => [h("dt", { class: "mono" }, name), h("dd", { class: "mono" }, shown(value))];
  const plain = ["enabled", "source", "client_events", "subscription_count", "allowed_origins", "allow_missing_origin", "authorized_connections_timeout", "watchlist", "watchlist_grace"];
  const settings = h("section", { class: "card" }, h("h2", {}, "Settings"),
    h("dl", { class: "facts limits" }, ...plain.flatMap((name) => row(name, app[name]))),
    h("h3", {}, "Sessions that come back"), h("dl", { class: "facts limits" }, ...Object.entries(app.resume).flatMap(([name, value]) => row(name, value))),
    h("h3", {}, "Limits"), h("dl", { class: "facts limits" }, ...Object.entries(app.limits).flatMap(([name, value]) => row(name, value))),
    h("p", { class: "muted" }, isOurs ? "These come from the database of apps." : "These come from config.toml, which is read again when it changes."));
  drawSnippets();
  fill(root, h("p", { class: "crumbs" }, h("a", { href: "#/apps" }, icon("back"), "Apps")), h("h2", { class: "subject mono" }, visible(id), !app.enabled && h("span", { class: "badge bad" }, "disabled")),
    !isOurs && h("p", { class: "card read-only" }, icon("lock"), h("span", {}, "This app is one of ", h("code", {}, "config.toml"),
      ", and is changed there: the file is read again when it changes. Apps that are made here can be changed here.")),
    h("div", { class: "split wide-left" }, h("div", { class: "stack" }, keys,
      h("section", { class: "card" }, h("h2", {}, "Connect to it"), addressForm(place, drawSnippets), snippets)), settings));
}

/** @param {unknown} value */
function shown(value) {
  if (Array.isArray(value)) return value.length === 0 ? "any" : value.map(visible).join(", ");
  if (typeof value === "number") return value.toLocaleString("en");
  return visible(value);
}

/**
 * Where clients reach the relay is not known to it, when there is a proxy: it can be set.
 * @param {Place} place
 * @param {() => void} changed
 */
function addressForm(place, changed) {
  const host = h("input", { class: "input mono", id: "public-host", value: place.host, spellcheck: "false", oninput: () => { place.host = host.value; changed(); } });
  const port = h("input", { class: "input mono port", id: "public-port", value: place.port, inputmode: "numeric", oninput: () => { place.port = port.value; changed(); } });
  const tls = h("input", { type: "checkbox", onchange: () => { place.tls = tls.checked; changed(); } });
  tls.checked = place.tls;
  return h("div", { class: "toolbar-row" }, h("label", { class: "field-inline", for: "public-host" }, h("span", {}, "Public host"), host),
    h("label", { class: "field-inline", for: "public-port" }, h("span", {}, "Port"), port), h("label", { class: "tick" }, tls, "TLS"));
}

/** Which snippet was looked at last. */
let chosen = SNIPPETS[0]?.name ?? "";

/**
 * @param {string} id
 * @param {string} key
 * @param {() => string} secret
 * @param {Place} place
 */
function snippetTabs(id, key, secret, place) {
  const pre = h("pre", { tabindex: 0, id: "snippet", role: "tabpanel", "aria-label": chosen });
  const text = () => SNIPPETS.find((snippet) => snippet.name === chosen)?.text({ id, key, secret: secret(), ...place }) ?? "";
  const tabs = SNIPPETS.map(({ name }) => h("button", {
    type: "button", role: "tab", class: "tab", "aria-controls": "snippet", onclick: () => { chosen = name; draw(); },
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by === undefined) return;
      const index = (SNIPPETS.findIndex((snippet) => snippet.name === chosen) + by + SNIPPETS.length) % SNIPPETS.length;
      chosen = SNIPPETS[index]?.name ?? chosen;
      draw();
      tabs[index]?.focus();
    },
  }, name));
  const draw = () => {
    tabs.forEach((tab, index) => {
      const is = SNIPPETS[index]?.name === chosen;
      tab.setAttribute("aria-selected", String(is));
      tab.tabIndex = is ? 0 : -1;
    });
    pre.setAttribute("aria-label", chosen);
    say(pre, text());
  };
  draw();
  return h("div", {}, h("div", { class: "tabs", role: "tablist", "aria-label": "Libraries" }, ...tabs),
    h("div", { class: "payload" }, pre, copyButton(text, "the snippet")));
}
