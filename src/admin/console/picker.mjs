// Which app a page is about.
import { get, path, reason } from "./api.mjs";
import { fill, h, visible } from "./dom.mjs";
import { count, plural } from "./format.mjs";

/**
 * @typedef {object} App
 * @property {string} id
 * @property {string} key
 * @property {boolean} enabled
 * @property {string} source
 * @property {number} connections
 * @property {number} channels
 * @property {number} messages_received
 * @property {number} messages_sent
 * @property {number} publishes
 * @property {number} errors
 */

/** The app that was looked at last, which other pages begin with. */
let last = "";

/** Milliseconds without a key before the relay is asked. */
const QUIET = 200;

/**
 * The first thousand apps whose ids begin so, and how many there are.
 * @param {AbortSignal} signal
 * @param {string} [prefix]
 * @returns {Promise<{ apps: App[], total: number }>}
 */
export function allApps(signal, prefix = "") {
  return get(path(["apps"], { limit: 1000, prefix }), signal);
}

/**
 * What of so many apps is shown.
 * @param {number} shown
 * @param {number} all
 * @param {string} prefix
 */
export function numbered(shown, all, prefix) {
  if (all > shown) return `the first ${count(shown)} of ${count(all)}`;
  return prefix === "" ? plural(all, "app") : `${plural(all, "app")} that ${all === 1 ? "begins" : "begin"} so`;
}

/** What a search goes by, where there are more apps than a page has. */
export const BY_PREFIX = "Ids that begin with…";

/**
 * Does something once nothing was typed for a moment.
 * @param {() => void} then
 */
export function once(then) {
  let timer = 0;
  return () => { clearTimeout(timer); timer = setTimeout(then, QUIET); };
}

/**
 * A choice of an app. Resolves with the app that is chosen at first; null where there is none.
 * @param {{ wanted: string | null, signal: AbortSignal, any?: string, onChange: (app: string) => void }} options
 *   `any`: what stands for all of them
 * @returns {{ element: HTMLElement, ready: Promise<string | null> }}
 */
export function picker({ wanted, signal, any, onChange }) {
  const select = h("select", {
    class: "input", "aria-label": "App", disabled: true,
    onchange: () => { last = select.value; onChange(select.value); },
  }, h("option", {}, "Apps…"));
  const search = h("input", {
    class: "input", type: "search", placeholder: BY_PREFIX, "aria-label": "Apps whose ids begin with", hidden: true, spellcheck: "false",
    oninput: once(() => {
      const prefix = search.value.trim();
      allApps(signal, prefix).then(({ apps }) => { if (search.value.trim() === prefix) choices(apps, select.value); }).catch(() => null);
    }),
  });
  const element = h("span", { class: "field-inline" }, h("label", { class: "field-inline" }, h("span", {}, "App"), select), search);
  /** @param {App[]} apps @param {string} chosen what stays chosen */
  const choices = (apps, chosen) => {
    const ids = apps.map((app) => app.id);
    if (chosen !== "" && !ids.includes(chosen)) ids.unshift(chosen);
    fill(select, any !== undefined && h("option", { value: "" }, any),
      ...ids.map((id) => h("option", { value: id }, visible(id))));
    if (chosen !== "") select.value = chosen;
    return ids;
  };
  const ready = allApps(signal).then(({ apps, total }) => {
    const ids = choices(apps, wanted ?? (any === undefined ? last : ""));
    search.hidden = total <= apps.length;
    select.disabled = false;
    if (ids.length === 0 && any === undefined) return null;
    return select.value;
  });
  return { element, ready };
}

/**
 * A sentence that says what went wrong, and a way to try again.
 * @param {unknown} error
 * @param {() => void} again
 */
export function failed(error, again) {
  return h("div", { class: "card problem", role: "alert" }, h("p", {}, reason(error)),
    h("button", { class: "button", type: "button", onclick: again }, "Try again"));
}
