// The frame around the pages: navigation, who is looking, and the way from an address to its page.
import { doors, get, keepToken, reason, token } from "./api.mjs";
import { channels } from "./channels.mjs";
import { connections } from "./connections.mjs";
import { doctor } from "./doctor.mjs";
import { fill, h, say } from "./dom.mjs";
import { events } from "./events.mjs";
import { icon } from "./icons.mjs";
import { overview } from "./overview.mjs";
import { sender } from "./sender.mjs";
import { apps } from "./settings.mjs";
import { trace } from "./trace.mjs";
import { webhooks } from "./webhooks.mjs";

/** @import { Icon } from "./icons.mjs" */

/**
 * What a page is given.
 * @typedef {object} Context
 * @property {HTMLElement} root where it is drawn
 * @property {AbortSignal} signal ends when another page is shown
 * @property {string[]} parts what follows the page's name in the address
 * @property {URLSearchParams} query
 * @property {(changes: Record<string, string>) => void} keep writes filters into the address; the page stays
 * @property {(...actions: (Node | string)[]) => void} actions puts buttons beside the page's title
 * @property {boolean} mayChange whether the token may change something
 */

/** @type {{ name: string, title: string, short: string, icon: Icon, key: string, show: (context: Context) => void }[]} */
const PAGES = [
  { name: "overview", title: "Overview", short: "Overview", icon: "overview", key: "o", show: overview },
  { name: "events", title: "Live events", short: "Events", icon: "events", key: "e", show: events },
  { name: "channels", title: "Channels", short: "Channels", icon: "channels", key: "c", show: channels },
  { name: "connections", title: "Connections", short: "Clients", icon: "connections", key: "n", show: connections },
  { name: "trace", title: "Trace", short: "Trace", icon: "trace", key: "t", show: trace },
  { name: "send", title: "Send an event", short: "Send", icon: "send", key: "s", show: sender },
  { name: "apps", title: "Apps and keys", short: "Apps", icon: "apps", key: "a", show: apps },
  { name: "webhooks", title: "Webhooks", short: "Hooks", icon: "webhooks", key: "w", show: webhooks },
  { name: "doctor", title: "Doctor", short: "Doctor", icon: "doctor", key: "d", show: doctor },
];

const THEME = "fanfare.theme";
let shown = new AbortController();
let mayChange = false;

/** @param {string} theme light, dark, or nothing: that of the system */
function paint(theme) {
  if (theme === "") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function switchTheme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = (document.documentElement.dataset.theme ?? (isDark ? "dark" : "light")) === "dark" ? "light" : "dark";
  localStorage.setItem(THEME, theme);
  paint(theme);
}

const title = h("h1", { tabindex: -1, id: "title" });
const actions = h("div", { class: "page-actions" });
let root = h("div", { class: "page" });
const who = h("span", { class: "who" });
const leave = h("button", { class: "button small", type: "button", "aria-label": "Lock", title: "Forget the token", onclick: () => { keepToken(""); location.reload(); } }, icon("lock"), h("span", {}, "Lock"));
const links = PAGES.map((page) => h("a", { href: `#/${page.name}`, title: `${page.title} (g ${page.key})` },
  icon(page.icon), h("span", { class: "long" }, page.title), h("span", { class: "short" }, page.short)));
const frame = h("div", { class: "frame" },
  h("a", { class: "skip", href: "#title", onclick: (/** @type {Event} */ event) => { event.preventDefault(); title.focus(); } }, "Skip to the page"),
  h("header", { class: "side" },
    h("a", { class: "brand", href: "#/overview" }, icon("logo"), h("span", {}, "Fanfare")),
    h("nav", { "aria-label": "Pages" }, ...links),
    h("div", { class: "side-foot" }, who, leave,
      h("button", { class: "button small icon-only", type: "button", "aria-label": "Light or dark", title: "Light or dark", onclick: switchTheme }, icon("theme")))),
  h("main", {}, h("div", { class: "page-head" }, title, actions), root));

function route() {
  const [address = "", text = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...parts] = address.split("/").map(decoded);
  const page = PAGES.find((one) => one.name === name) ?? PAGES[0];
  if (page === undefined) return;
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  PAGES.forEach((one, index) => {
    const link = links[index];
    if (one === page) link?.setAttribute("aria-current", "page");
    else link?.removeAttribute("aria-current");
  });
  document.title = `${page.title} · Fanfare`;
  say(title, page.title);
  fill(actions);
  // A place of its own: what a page that was left still draws is seen by nobody.
  const place = h("div", { class: "page" });
  root.replaceWith(place);
  root = place;
  const query = new URLSearchParams(text);
  page.show({
    root, parts, query, mayChange, signal,
    actions: (...nodes) => { if (!signal.aborted) fill(actions, ...nodes); },
    keep: (changes) => {
      if (signal.aborted) return;
      for (const [key, value] of Object.entries(changes)) value === "" ? query.delete(key) : query.set(key, value);
      const rest = query.toString();
      history.replaceState(null, "", `#/${[name || page.name, ...parts.map(encodeURIComponent)].join("/")}${rest === "" ? "" : `?${rest}`}`);
    },
  });
}

/** @param {string} text */
function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** Asks for a token. @param {string} why */
function ask(why) {
  shown.abort();
  const input = h("input", {
    type: "password", id: "token", autocomplete: "current-password", required: true, spellcheck: "false",
    "aria-describedby": "token-help", class: "input",
  });
  const wrong = h("p", { class: "field-error", role: "alert" }, token() === "" ? "" : why);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    keepToken(input.value.trim());
    await begin();
  };
  fill(document.body, h("main", { class: "gate" }, h("form", { class: "card gate-card", onsubmit: submit },
    h("div", { class: "brand" }, icon("logo"), h("span", {}, "Fanfare")),
    h("h1", {}, "Who is looking?"),
    h("p", { id: "token-help", class: "muted" }, "Show one of the relay's admin tokens: ", h("code", {}, "admin.token"), " or a line of ",
      h("code", {}, "admin.tokens_file"), ". This tab keeps it until it is closed."),
    h("label", { for: "token" }, "Token"), input, wrong,
    h("button", { class: "button primary", type: "submit" }, "Open the console"))));
  input.focus();
}

doors.addEventListener("locked", (event) => {
  if (frame.isConnected) ask(/** @type {CustomEvent<string>} */ (event).detail);
});

async function begin() {
  let me;
  try {
    me = await get("/api/whoami");
  } catch (error) {
    ask(reason(error));
    if (token() === "" && !/token/i.test(reason(error))) {
      document.querySelector(".field-error")?.append(reason(error));
    }
    return;
  }
  mayChange = me.role === "write";
  fill(who, me.token === null ? "No token needed" : me.token, h("span", { class: "badge" }, me.role));
  leave.hidden = token() === "";
  fill(document.body, frame);
  route();
}

/** @type {string} */ let before = "";
document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || !frame.isConnected || document.querySelector("dialog[open]")) return;
  if (target.matches("input, textarea, select")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const page = before === "g" ? PAGES.find((one) => one.key === event.key) : undefined;
  before = event.key;
  if (page !== undefined) location.hash = `#/${page.name}`;
  else if (event.key === "/") /** @type {HTMLElement | null} */ (root.querySelector("[data-search]"))?.focus();
  else if ((event.key === "j" || event.key === "k") && document.activeElement === document.body) {
    /** @type {HTMLElement | null} */ (root.querySelector(".list-body"))?.focus();
  } else return;
  event.preventDefault();
});

addEventListener("hashchange", () => {
  if (!frame.isConnected) return;
  route();
  title.focus({ preventScroll: true });
  scrollTo(0, 0);
});

paint(localStorage.getItem(THEME) ?? "");
await begin();
