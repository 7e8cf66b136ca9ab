// Questions before something is done, notes of what came of it, and buttons that copy.
import { h, say, visible } from "./dom.mjs";
import { icon } from "./icons.mjs";

const notes = h("div", { class: "notes", role: "status", "aria-live": "polite" });

/**
 * Shows a sentence for a while.
 * @param {string} text
 * @param {"good" | "bad"} [tone]
 */
export function note(text, tone = "good") {
  if (!notes.isConnected) document.body.append(notes);
  const shown = h("p", { class: `note ${tone}` }, text);
  notes.append(shown);
  setTimeout(() => shown.remove(), 6000);
}

/**
 * Asks whether to go on. Resolves with what was ticked, or null.
 * @param {string} title
 * @param {string} text
 * @param {string} action
 * @param {string} [tick] what can be ticked
 * @returns {Promise<{ ticked: boolean } | null>}
 */
export function confirmed(title, text, action, tick) {
  const box = h("input", { type: "checkbox" });
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title), h("p", {}, text),
      tick !== undefined && h("label", { class: "tick" }, box, tick),
      h("div", { class: "dialog-actions" },
        h("button", { value: "", class: "button" }, "Cancel"),
        h("button", { value: "yes", class: "button danger" }, action))));
  return closed(dialog).then((value) => value === "yes" ? { ticked: box.checked } : null);
}

/**
 * Asks whether to go on, of whoever types a word. Resolves with whether they did.
 * @param {string} title
 * @param {string} text
 * @param {string} word
 * @param {string} action
 * @returns {Promise<boolean>}
 */
export function confirmedByTyping(title, text, word, action) {
  const go = h("button", { value: "yes", class: "button danger", disabled: true }, action);
  const input = h("input", {
    class: "input mono", id: "dialog-word", autocomplete: "off", spellcheck: "false",
    oninput: () => { go.disabled = input.value !== word; },
    // Enter in a field presses the first button, which is Cancel.
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (!go.disabled) go.click();
    },
  });
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title), h("p", {}, text),
      h("div", { class: "field" }, h("label", { for: "dialog-word" }, "Type ", h("code", {}, visible(word)), " to go on"), input),
      h("div", { class: "dialog-actions" }, h("button", { value: "", class: "button" }, "Cancel"), go)));
  return closed(dialog).then((value) => value === "yes");
}

/**
 * Shows a key pair that was just made. Resolves when it is closed.
 * @param {string} title
 * @param {string} text
 * @param {{ id?: string, key: string, secret: string }} pair
 */
export function showPair(title, text, { id, key, secret }) {
  const rows = /** @type {[string, string, string][]} */ ([
    ...(id === undefined ? [] : [["App id", id, "the app id"]]), ["Key", key, "the key"], ["Secret", secret, "the secret"],
  ]);
  const dialog = h("dialog", { class: "dialog wide", "aria-labelledby": "dialog-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title), h("p", { class: "muted" }, text),
      h("dl", { class: "pair" }, ...rows.flatMap(([name, value, what]) => [
        h("dt", {}, name), h("dd", {}, h("code", {}, visible(value)), copyButton(() => value, what)),
      ])),
      h("div", { class: "dialog-actions" }, h("button", { value: "yes", class: "button primary" }, "I have kept it"))));
  return closed(dialog);
}

/**
 * Shows a dialog, and resolves with the value of the button that closes it; Escape: with nothing.
 * @param {HTMLDialogElement} dialog
 * @returns {Promise<string>}
 */
function closed(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/**
 * @param {() => string} text
 * @param {string} what is copied, for screen readers
 */
export function copyButton(text, what) {
  const label = h("span", {}, "Copy");
  return h("button", {
    class: "button small", type: "button", "aria-label": `Copy ${what}`,
    onclick: async () => {
      const done = await copied(text());
      say(label, done ? "Copied" : "Not copied");
      setTimeout(() => say(label, "Copy"), 1500);
    },
  }, icon("copy"), label);
}

/** @param {string} text */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages over plain HTTP have no clipboard, but may copy what is selected.
    const area = h("textarea", { class: "off-screen", "aria-hidden": "true" }, text);
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
