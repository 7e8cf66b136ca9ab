// Questions before something is done, notes of what came of it, and buttons that copy.
import { h, say } from "./dom.mjs";
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
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? { ticked: box.checked } : null);
      dialog.remove();
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
