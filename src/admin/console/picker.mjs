// Which app a page is about.
import { get, path, reason } from "./api.mjs";
import { fill, h, visible } from "./dom.mjs";

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

/**
 * The first thousand apps, and how many there are.
 * @param {AbortSignal} signal
 * @returns {Promise<{ apps: App[], total: number }>}
 */
export function allApps(signal) {
  return get(path(["apps"], { limit: 1000 }), signal);
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
  const element = h("label", { class: "field-inline" }, h("span", {}, "App"), select);
  const ready = allApps(signal).then(({ apps }) => {
    const ids = apps.map((app) => app.id);
    const chosen = wanted ?? (any === undefined ? last : "");
    if (chosen !== "" && !ids.includes(chosen)) ids.unshift(chosen);
    fill(select, any !== undefined && h("option", { value: "" }, any),
      ...ids.map((id) => h("option", { value: id }, visible(id))));
    if (chosen !== "") select.value = chosen;
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
