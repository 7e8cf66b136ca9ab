// Fields of a form, each known by the key of the setting that it stands for, so that what is wrong with that shows beside it.
import { ApiError, reason } from "./api.mjs";
import { h, say } from "./dom.mjs";

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */

/**
 * @typedef {object} Field
 * @property {HTMLElement} element
 * @property {Control} control
 * @property {HTMLElement} wrong
 */

/** The fields of one form. */
export class Fields {
  /** @type {Map<string, Field>} */ known = new Map();
  /** What is wrong, and is no field's. */
  problem = h("div", { class: "banner", role: "alert" });

  /** @param {string} prefix of the ids of elements */
  constructor(prefix) {
    this.prefix = prefix;
    this.problem.hidden = true;
  }

  /**
   * A control with its label, a sentence of help, and room for what is wrong.
   * @param {string} key
   * @param {string} label
   * @param {Control} control
   * @param {string} [help]
   */
  add(key, label, control, help = "") {
    const id = `${this.prefix}-${key.replace(/[^a-z0-9]+/gi, "-")}`;
    control.id = id;
    const wrong = h("p", { class: "field-error", id: `${id}-wrong` });
    wrong.hidden = true;
    control.setAttribute("aria-describedby", help === "" ? `${id}-wrong` : `${id}-help ${id}-wrong`);
    const isTick = control instanceof HTMLInputElement && control.type === "checkbox";
    const element = isTick
      ? h("div", { class: "field" }, h("label", { class: "tick", for: id }, control, label), help !== "" && h("p", { class: "muted", id: `${id}-help` }, help), wrong)
      : h("div", { class: "field" }, h("label", { for: id }, label), control, help !== "" && h("p", { class: "muted", id: `${id}-help` }, help), wrong);
    this.known.set(key, { element, control, wrong });
    return element;
  }

  /** Forgets fields that are no longer there. @param {string} start of their keys */
  forget(start) {
    for (const key of this.known.keys()) if (key.startsWith(start)) this.known.delete(key);
  }

  clear() {
    this.problem.hidden = true;
    for (const { control, wrong } of this.known.values()) {
      control.removeAttribute("aria-invalid");
      wrong.hidden = true;
      say(wrong, "");
    }
  }

  /** Shows an error at the field that it is about, or above all. @param {unknown} error */
  show(error) {
    const key = error instanceof ApiError ? error.key : "";
    const field = this.at(key);
    const text = reason(error);
    if (field === null) {
      say(this.problem, text);
      this.problem.hidden = false;
      this.problem.scrollIntoView({ block: "center" });
      return;
    }
    say(field.wrong, sentence(text, key));
    field.wrong.hidden = false;
    field.control.setAttribute("aria-invalid", "true");
    const around = field.element.closest("details");
    if (around !== null) around.open = true;
    field.control.focus();
  }

  /** The field of a setting, or of what it is a part of. @param {string} key */
  at(key) {
    for (let part = key; part !== ""; part = part.replace(/(\.|\[|^)[^.[]*$/, "")) {
      const field = this.known.get(part);
      if (field !== undefined) return field;
    }
    return null;
  }
}

/** Without the key, which the label says. @param {string} text @param {string} key */
function sentence(text, key) {
  const start = text.toLowerCase().startsWith(`${key.toLowerCase()}: `) ? key.length + 2 : 0;
  const rest = text.slice(start);
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}

/** @param {Record<string, any>} [attributes] */
export function textInput(attributes = {}) {
  return h("input", { class: "input", autocomplete: "off", spellcheck: "false", ...attributes });
}

/** @param {number | undefined} value */
export function numberInput(value) {
  return h("input", { class: "input mono", type: "number", min: 0, step: 1, inputmode: "numeric", placeholder: "default", value: value ?? "" });
}

/** @param {boolean} checked */
export function tickInput(checked) {
  const input = h("input", { type: "checkbox" });
  input.checked = checked;
  return input;
}

/** A text of several lines, one item a line. @param {string[]} items @param {Record<string, any>} [attributes] */
export function linesInput(items, attributes = {}) {
  return h("textarea", { class: "input mono", rows: Math.max(2, items.length + 1), spellcheck: "false", ...attributes }, items.join("\n"));
}

/** @param {HTMLTextAreaElement} area */
export function linesOf(area) {
  return area.value.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}

/** A group of fields with a name. @param {string} title @param {...Node | string | false} children */
export function group(title, ...children) {
  return h("fieldset", { class: "card group" }, h("legend", { class: "off-screen" }, title), h("h2", { "aria-hidden": "true" }, title), ...children);
}
