// The part of an app's form that is about its webhooks.
import { h } from "./dom.mjs";
import { linesInput, linesOf, textInput, tickInput } from "./fields.mjs";
import { icon } from "./icons.mjs";

/** @import { Fields } from "./fields.mjs" */

const EVENTS = ["channel_occupied", "channel_vacated", "member_added", "member_removed", "client_event", "cache_miss", "subscription_count"];

/**
 * A webhook as config.toml has it.
 * @typedef {{ url?: string, events?: string[], batch?: boolean, headers?: Record<string, string>, filter?: { channel_prefix?: string, channel_suffix?: string } }} Webhook
 */

/**
 * Webhooks that can be added, changed and taken away.
 * @param {Fields} fields
 * @param {Webhook[]} webhooks
 * @returns {{ element: HTMLElement, read: () => Webhook[] }}
 */
export function webhookFields(fields, webhooks) {
  /** @type {{ element: HTMLElement, read: () => Webhook }[]} */ let rows = [];
  const list = h("div", { class: "stack" });
  const draw = (/** @type {Webhook[]} */ shown) => {
    fields.forget("webhooks[");
    rows = shown.map((webhook, index) => row(fields, webhook, index, () => {
      const left = read();
      left.splice(index, 1);
      draw(left);
      add.focus();
    }));
    list.replaceChildren(...rows.map(({ element }) => element));
  };
  const read = () => rows.map((one) => one.read());
  const add = h("button", {
    class: "button", type: "button", onclick: () => {
      draw([...read(), { url: "", events: ["channel_occupied", "channel_vacated"] }]);
      /** @type {HTMLElement | null} */ (list.lastElementChild?.querySelector("input") ?? null)?.focus();
    },
  }, icon("plus"), "Add a webhook");
  draw(webhooks);
  return { element: h("div", { class: "stack" }, list, h("div", {}, add)), read };
}

/**
 * @param {Fields} fields
 * @param {Webhook} webhook
 * @param {number} index
 * @param {() => void} remove
 */
function row(fields, webhook, index, remove) {
  const at = `webhooks[${index}]`;
  const url = textInput({ class: "input mono", type: "url", inputmode: "url", value: webhook.url ?? "", placeholder: "https://shop.example.com/pusher/webhook", required: true });
  const events = EVENTS.map((name) => ({ name, box: tickInput(webhook.events?.includes(name) ?? false) }));
  const first = events[0]?.box;
  const batch = tickInput(webhook.batch ?? false);
  const prefix = textInput({ class: "input mono", value: webhook.filter?.channel_prefix ?? "" });
  const suffix = textInput({ class: "input mono", value: webhook.filter?.channel_suffix ?? "" });
  const headers = linesInput(Object.entries(webhook.headers ?? {}).map(([name, value]) => `${name}: ${value}`), { placeholder: "Authorization: Bearer …" });
  const wrong = h("p", { class: "field-error" });
  wrong.hidden = true;
  const kinds = h("fieldset", { class: "ticks" }, h("legend", {}, "Events"), ...events.map(({ name, box }) => h("label", { class: "tick mono" }, box, name)), wrong);
  if (first !== undefined) fields.known.set(`${at}.events`, { element: kinds, control: first, wrong });
  const element = h("fieldset", { class: "inner" }, h("legend", {}, `Webhook ${index + 1}`),
    fields.add(`${at}.url`, "Address", url), kinds,
    fields.add(`${at}.batch`, "Several events in a request", batch),
    h("div", { class: "pair-of-fields" }, fields.add(`${at}.filter.channel_prefix`, "Channels that begin with", prefix, "Empty: any."),
      fields.add(`${at}.filter.channel_suffix`, "Channels that end with", suffix, "Empty: any.")),
    fields.add(`${at}.headers`, "Headers", headers, "One a line, as Name: value."),
    h("div", {}, h("button", { class: "button small danger", type: "button", onclick: remove }, icon("trash"), `Remove webhook ${index + 1}`)));
  return {
    element,
    /** @returns {Webhook} */
    read: () => ({
      url: url.value.trim(),
      events: events.filter(({ box }) => box.checked).map(({ name }) => name),
      batch: batch.checked,
      ...(headers.value.trim() === "" ? {} : { headers: Object.fromEntries(linesOf(headers).map(pairOf)) }),
      ...(prefix.value === "" && suffix.value === "" ? {} : { filter: { channel_prefix: prefix.value, channel_suffix: suffix.value } }),
    }),
  };
}

/** @param {string} line @returns {[string, string]} */
function pairOf(line) {
  const at = line.indexOf(":");
  return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
}
