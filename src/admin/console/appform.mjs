// Forms: an app is made, and its settings are changed.
import { get, path, reason, send } from "./api.mjs";
import { note, showPair } from "./dialog.mjs";
import { fill, h, visible } from "./dom.mjs";
import { Fields, group, linesInput, linesOf, numberInput, textInput, tickInput } from "./fields.mjs";
import { icon } from "./icons.mjs";
import { failed } from "./picker.mjs";
import { webhookFields } from "./webhookfields.mjs";

/** @import { Context } from "./main.mjs" */

/** Limits that people change, and then all others. */
const USUAL = ["max_connections", "messages_per_second", "client_events_per_second", "requests_per_second", "presence_members", "event_data_bytes"];

const UNITS = /** @type {Record<string, string>} */ ({
  max_connections: "To each node; 0: no limit.", messages_per_second: "Of a connection.", client_events_per_second: "Of a connection.",
  requests_per_second: "Over HTTP; 0: no limit.", presence_members: "Of a channel.", event_data_bytes: "Bytes of an event's data.",
  overrun_timeout: "Seconds.", cache_ttl: "Seconds.", auth_timestamp_window: "Seconds.", publish_wait_ms: "Milliseconds.",
});

const SWITCHES = /** @type {[string, string, string][]} */ ([
  ["client_events", "Client events", "Clients may send events to each other on private and presence channels."],
  ["subscription_count", "Subscription counts", "Clients receive how many subscribe to a channel."],
  ["allow_missing_origin", "Clients without an origin", "Programs, which send none, may connect although origins are listed."],
  ["watchlist", "Watchlist", "Clients may ask who of a list of users is online."],
]);

const TIMES = /** @type {[string, string, string][]} */ ([
  ["authorized_connections_timeout", "Time to sign in", "Seconds after which a connection without a user is closed; 0: never."],
  ["watchlist_grace", "Watchlist grace", "Seconds until a user who has left counts as offline."],
]);

const ORIGINS = "One a line, such as https://shop.example.com or *.example.com. Empty: pages of any origin may connect.";

/** @param {string} id */
const inAddress = (id) => `#/apps/${encodeURIComponent(id)}`;

/** @param {string} href @param {string} text */
const back = (href, text) => h("p", { class: "crumbs" }, h("a", { href }, icon("back"), text));

/**
 * Submits a form once at a time, and shows what is wrong at its field.
 * @param {Fields} fields
 * @param {HTMLButtonElement} button
 * @param {AbortSignal} signal of the page: what goes wrong after its end is shown on the next one
 * @param {() => Promise<void>} task
 */
function submitter(fields, button, signal, task) {
  return async (/** @type {Event} */ event) => {
    event.preventDefault();
    fields.clear();
    button.disabled = true;
    try { await task(); } catch (error) {
      if (signal.aborted) note(reason(error), "bad");
      else fields.show(error);
    }
    button.disabled = false;
  };
}

/** @param {Context} context */
export function newApp({ root, signal }) {
  const fields = new Fields("new");
  const id = textInput({ class: "input mono", placeholder: "made for you" });
  const key = textInput({ class: "input mono", placeholder: "made for you" });
  const secret = textInput({ class: "input mono", placeholder: "made for you" });
  const origins = linesInput([]);
  const most = numberInput(undefined);
  const clients = tickInput(false);
  const button = h("button", { class: "button primary", type: "submit" }, "Make the app");
  const submit = submitter(fields, button, signal, async () => {
    const given = Object.entries({ id: id.value.trim(), key: key.value.trim(), secret: secret.value.trim() }).filter(([, value]) => value !== "");
    const body = {
      ...Object.fromEntries(given), client_events: clients.checked,
      ...(linesOf(origins).length === 0 ? {} : { allowed_origins: linesOf(origins) }),
      ...(most.value === "" ? {} : { limits: { max_connections: Number(most.value) } }),
    };
    // Not ended by leaving the page: the app may be made already, and its secret is shown here alone.
    const { settings } = await send("POST", path(["apps"]), { body });
    await showPair("The app is made", "It is served from now on. Keep the secret where your backend finds it.", settings);
    if (!signal.aborted) location.hash = inAddress(settings.id);
  });
  fill(root, back("#/apps", "Apps"), h("h2", { class: "subject" }, "A new app"),
    h("form", { class: "form narrow", onsubmit: submit, novalidate: true }, fields.problem,
      group("The app", fields.add("id", "Id", id, "Letters, digits and - . _ ~; it stands in addresses, and stays."),
        fields.add("allowed_origins", "Origins", origins, ORIGINS),
        fields.add("limits.max_connections", "Connections at most", most, "To each node. Empty: no limit."),
        fields.add("client_events", "Client events", clients, "Clients may send events to each other on private and presence channels.")),
      group("Key and secret", h("p", { class: "muted" }, "Those of an app that moves here; empty ones are made at random."),
        fields.add("key", "Key", key), fields.add("secret", "Secret", secret)),
      h("div", { class: "form-actions" }, button, h("a", { class: "button", href: "#/apps" }, "Cancel"))));
  id.focus();
}

/**
 * @param {Context} context
 * @param {string} id
 */
export async function editApp({ root, signal }, id) {
  fill(root, h("div", { class: "card" }, ...Array.from({ length: 6 }, () => h("div", { class: "skeleton" }))));
  let app;
  try {
    app = await get(path(["apps", id], { secrets: true }), signal);
  } catch (error) {
    if (!signal.aborted) fill(root, back(inAddress(id), visible(id)), failed(error, () => location.reload()));
    return;
  }
  const fields = new Fields("edit");
  /** What each field makes of the changes. @type {((changes: Record<string, any>) => void)[]} */ const readers = [];
  /** @param {string} key @param {string} label @param {string} help */
  const tick = (key, label, help) => {
    const input = tickInput(app[key]);
    readers.push((changes) => { if (input.checked !== app[key]) changes[key] = input.checked; });
    return fields.add(key, label, input, help);
  };
  /** @param {string | null} section @param {string} key @param {string} label @param {string} [help] */
  const number = (section, key, label, help) => {
    const before = section === null ? app[key] : app[section][key];
    const input = numberInput(before);
    readers.push((changes) => {
      // A number of another form is the relay's to refuse, and an empty field is the default.
      const now = input.validity.badInput ? "no number" : input.value === "" ? null : Number(input.value);
      if (now === before) return;
      if (section === null) changes[key] = now;
      else changes[section] = { ...changes[section], [key]: now };
    });
    return fields.add(section === null ? key : `${section}.${key}`, label, input, help);
  };
  const origins = linesInput(app.allowed_origins);
  readers.push((changes) => { if (linesOf(origins).join("\n") !== app.allowed_origins.join("\n")) changes.allowed_origins = linesOf(origins); });
  const hooks = webhookFields(fields, app.webhook_settings);
  const hooksBefore = JSON.stringify(hooks.read());
  readers.push((changes) => { if (JSON.stringify(hooks.read()) !== hooksBefore) changes.webhooks = hooks.read(); });
  const limit = (/** @type {string} */ key) => number("limits", key, key, UNITS[key]);
  const others = Object.keys(app.limits).filter((key) => !USUAL.includes(key));
  const button = h("button", { class: "button primary", type: "submit" }, "Save");
  const submit = submitter(fields, button, signal, async () => {
    /** @type {Record<string, any>} */ const changes = {};
    for (const read of readers) read(changes);
    if (Object.keys(changes).length > 0) {
      await send("PATCH", path(["apps", id]), { body: changes });
      note("The changes are saved, and hold from now on.");
    }
    if (!signal.aborted) location.hash = inAddress(id);
  });
  fill(root, back(inAddress(id), visible(id)), h("h2", { class: "subject mono" }, visible(id)),
    h("form", { class: "form narrow", onsubmit: submit, novalidate: true }, fields.problem,
      group("Who may connect, and do what", fields.add("allowed_origins", "Origins", origins, ORIGINS),
        ...SWITCHES.map(([key, label, help]) => tick(key, label, help)),
        h("div", { class: "pair-of-fields" }, ...TIMES.map(([key, label, help]) => number(null, key, label, help)))),
      group("Limits", h("p", { class: "muted" }, "An empty field is the default."),
        h("div", { class: "grid-of-fields" }, ...USUAL.map(limit)),
        h("details", {}, h("summary", {}, "More limits"), h("div", { class: "grid-of-fields" }, ...others.map(limit)))),
      group("Sessions that come back", h("div", { class: "grid-of-fields" }, ...Object.keys(app.resume).map((key) => number("resume", key, key, key === "window" ? "Seconds; 0: none." : undefined)))),
      group("Webhooks", h("p", { class: "muted" }, "What becomes of channels and members is posted to these, signed with the app's key."), hooks.element),
      h("div", { class: "form-actions sticky" }, button, h("a", { class: "button", href: inAddress(id) }, "Cancel"))));
}
