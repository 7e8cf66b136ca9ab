// What can be done to an app of the database, beside changing its settings.
import { path, reason, send } from "./api.mjs";
import { confirmed, confirmedByTyping, note, showPair } from "./dialog.mjs";
import { h, visible } from "./dom.mjs";
import { icon } from "./icons.mjs";

/**
 * Does something, and shows a sentence where it fails. Resolves with whether it did not. What is begun is not ended by leaving the
 * page: the relay may have done it already, and whoever left is to know.
 * @param {() => Promise<unknown>} task
 */
async function done(task) {
  try {
    await task();
    return true;
  } catch (error) {
    note(reason(error), "bad");
    return false;
  }
}

/**
 * @param {any} app
 * @param {AbortSignal} signal
 * @param {() => void} again draws the page anew
 */
export function appActions(app, signal, again) {
  const { id } = app;
  const turn = async () => {
    const enabled = !app.enabled;
    const asked = enabled || await confirmed(`Disable ${visible(id)}?`, "Its connections are closed with 4003, and nobody connects or publishes until it is enabled again.", "Disable");
    if (asked && await done(() => send("PATCH", path(["apps", id]), { body: { enabled } }))) {
      note(enabled ? "The app is enabled." : "The app is disabled.");
      again();
    }
  };
  const rotate = async () => {
    if (await confirmed(`Another key pair for ${visible(id)}?`, "The new pair signs webhooks at once. The old one is accepted, too, until you remove it: give backends and clients the new one first.", "Make a pair") === null) return;
    /** @type {any} */ let rotated;
    if (!await done(async () => { rotated = await send("POST", path(["apps", id, "rotate"])); })) return;
    await showPair("The new pair", "Keep the secret where your backend finds it. The old pair is accepted until it is removed.", { key: rotated.settings.key, secret: rotated.settings.secret });
    again();
  };
  const remove = async () => {
    const text = "Its connections are closed with 4001. Its settings, keys and what waits for its webhooks are gone for good.";
    if (!await confirmedByTyping(`Delete ${visible(id)}?`, text, id, "Delete the app")) return;
    if (await done(() => send("DELETE", path(["apps", id])))) {
      note("The app is deleted.");
      if (!signal.aborted) location.hash = "#/apps";
    }
  };
  return [
    h("a", { class: "button", href: `#/apps/${encodeURIComponent(id)}/edit` }, icon("edit"), "Edit"),
    h("button", { class: "button", type: "button", onclick: rotate }, icon("key"), "Rotate keys"),
    h("button", { class: "button", type: "button", onclick: turn }, icon(app.enabled ? "pause" : "play"), app.enabled ? "Disable" : "Enable"),
    h("button", { class: "button danger", type: "button", onclick: remove }, icon("trash"), "Delete"),
  ];
}

/**
 * A key pair that is accepted, too, and a way to end that.
 * @param {any} app
 * @param {string} key
 * @param {boolean} may
 * @param {() => void} again
 */
export function otherKey(app, key, may, again) {
  const remove = async () => {
    if (await confirmed("Accept this key no more?", `What is signed with ${visible(key)} is refused from then on.`, "Remove the key") === null) return;
    if (await done(() => send("DELETE", path(["apps", app.id, "keys", key])))) {
      note("The key is accepted no more.");
      again();
    }
  };
  return h("dd", { class: "with-button" }, h("code", {}, visible(key)),
    may && h("button", { class: "button small danger", type: "button", "aria-label": `Remove the key ${visible(key)}`, onclick: remove }, "Remove"));
}
