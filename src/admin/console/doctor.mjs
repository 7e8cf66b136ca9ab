// Why clients do not connect: the doctor looks from this node, through the address that clients are given.
import { get, path, pause, reason, send } from "./api.mjs";
import { note } from "./dialog.mjs";
import { fill, h, say, visible, visibleLines } from "./dom.mjs";
import { Fields, textInput, tickInput } from "./fields.mjs";
import { ago, plural, when } from "./format.mjs";
import { picker } from "./picker.mjs";
import { publicAddress } from "./snippets.mjs";

/** @import { Context } from "./main.mjs" */

/** Milliseconds between looks at a run. */
const WHILE_AT_WORK = 400, OTHERWISE = 4000;

const LEVELS = /** @type {Record<string, { name: string, tone: string }>} */ ({
  ok: { name: "ok", tone: "good" }, warn: { name: "warning", tone: "warn" }, error: { name: "error", tone: "bad" },
});

/** @param {Context} context */
export function doctor({ root, signal, query, keep, mayChange }) {
  let app = query.get("app") ?? "", shown = "", seen = 0, begun = 0;
  let resting = new AbortController();
  const results = h("section", { class: "card", "aria-label": "What was found" }, h("div", { class: "skeleton" }));
  const list = h("ol", { class: "plain findings", "aria-live": "polite" });
  const stop = h("button", { class: "button small danger", type: "button", onclick: async () => {
    stop.disabled = true;
    await send("DELETE", path(["doctor"]), { signal }).catch((error) => {
      if (signal.aborted) return;
      stop.disabled = false;
      note(reason(error), "bad");
    });
  } }, "Stop");
  const url = h("h2", { class: "mono" }), badge = h("span", { class: "badge" });
  const asked = h("p", { class: "muted" }), early = h("p", { class: "verdict warn" });
  const head = h("div", { class: "run-head" }, h("div", { class: "card-head" }, url, badge, stop), asked, early);
  let since = h("time");

  const draw = (/** @type {any} */ run) => {
    if (run === null) {
      shown = "";
      fill(results, h("h2", {}, "What was found"), h("p", { class: "muted" }, "Nobody has asked since this node was started."));
      return;
    }
    if (mark(run) !== shown) {
      shown = mark(run);
      seen = 0;
      stop.disabled = false;
      say(url, visible(run.url));
      since = when(run.started_at);
      fill(asked, `App ${visible(run.app)}`, run.origin !== null && `, as a page of ${visible(run.origin)}`, ". Asked by ", visible(run.by), " ", since, ".");
      fill(list);
      fill(results, head, list);
    }
    const isAtWork = run.ended_at === null;
    const { name, tone } = verdict(run);
    // The elements stay: a click is lost, and so is the focus, where a button is taken out and put back.
    badge.className = `badge ${tone}`;
    say(badge, name);
    stop.hidden = !isAtWork || !mayChange;
    say(since, ago(run.started_at));
    early.hidden = run.ended_early === null;
    say(early, run.ended_early === null ? "" : `It ended early: ${visible(run.ended_early)}.`);
    // Those that are there stay, so that only what is new is read out.
    for (const finding of run.findings.slice(seen)) list.append(drawn(finding));
    seen = run.findings.length;
    if (!isAtWork) stop.disabled = false;
  };

  const watch = async () => {
    while (!signal.aborted) {
      let isAtWork = false;
      const before = begun;
      try {
        const { run } = await get(path(["doctor"]), signal);
        // What was asked before a run began knows nothing of it.
        if (before !== begun) continue;
        isAtWork = run !== null && run.ended_at === null;
        draw(run);
      } catch (error) {
        if (before !== begun) continue;
        if (!signal.aborted) { shown = ""; fill(results, h("p", { class: "verdict bad", role: "alert" }, reason(error))); }
      }
      resting = new AbortController();
      await pause(isAtWork ? WHILE_AT_WORK : OTHERWISE, AbortSignal.any([signal, resting.signal]));
    }
  };

  const form = mayChange && asking({
    app: () => app, query, keep, signal,
    choice: picker({ wanted: query.get("app"), signal, onChange: (id) => { app = id; keep({ app: id }); } }),
    chosen: (id) => { app = id; }, begun: (run) => { begun += 1; draw(run); resting.abort(); results.scrollIntoView({ block: "nearest" }); },
  });
  fill(root, h("div", { class: form === false ? "stack" : "split wide-left reversed" },
    form || h("p", { class: "card read-only" }, "Asking takes a token of the role write: the relay connects to the address that is given."), results));
  watch();
}

/** Which run it is: numbers begin anew when the relay is restarted. @param {any} run */
function mark(run) {
  return JSON.stringify([run.number, run.started_at, run.app, run.url, run.origin, run.patient, run.by]);
}

/** @param {any} run */
function verdict(run) {
  if (run.ended_at === null) return { name: "looking…", tone: "" };
  const errors = run.findings.filter((/** @type {any} */ finding) => finding.level === "error").length;
  const warnings = run.findings.filter((/** @type {any} */ finding) => finding.level === "warn").length;
  if (errors > 0) return { name: plural(errors, "error"), tone: "bad" };
  if (warnings > 0) return { name: plural(warnings, "warning"), tone: "warn" };
  return run.ended_early === null ? { name: "nothing is wrong", tone: "good" } : { name: "stopped", tone: "warn" };
}

/** @param {any} finding */
function drawn({ id, level, text, remedy }) {
  const { name, tone } = LEVELS[level] ?? { name: level, tone: "" };
  return h("li", { class: `finding ${tone}` },
    h("span", { class: `badge ${tone}` }, name), h("p", {}, visible(text)), h("code", { class: "muted" }, visible(id)),
    remedy !== null && h("p", { class: "remedy" }, h("b", {}, "What to do"), visibleLines(remedy)));
}

/**
 * The form that asks.
 * @param {{ app: () => string, query: URLSearchParams, keep: Context["keep"], signal: AbortSignal, choice: ReturnType<typeof picker>, chosen: (id: string) => void, begun: (run: any) => void }} given
 */
function asking({ app, query, keep, signal, choice, chosen, begun }) {
  const fields = new Fields("doctor");
  const url = textInput({ class: "input mono", type: "url", inputmode: "url", value: query.get("url") ?? "", placeholder: "wss://ws.example.com" });
  const origin = textInput({ class: "input mono", type: "url", inputmode: "url", value: query.get("origin") ?? "", placeholder: "https://shop.example.com" });
  const patient = tickInput(false);
  const button = h("button", { class: "button primary", type: "submit", disabled: true }, "Run checks");
  const done = h("p", { class: "off-screen", role: "status" });
  choice.ready.then((id) => { chosen(id ?? ""); button.disabled = id === null; }).catch((error) => { if (!signal.aborted) fields.show(error); });
  get(path(["config"]), signal).then((config) => {
    const { host, port, tls } = publicAddress(config);
    if (url.value === "") url.value = `${tls ? "wss" : "ws"}://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}${prefixOf(config)}`;
  }).catch(() => null);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    fields.clear();
    button.disabled = true;
    const body = { url: url.value.trim(), patient: patient.checked, ...(origin.value.trim() === "" ? {} : { origin: origin.value.trim() }) };
    keep({ url: body.url, origin: origin.value.trim() });
    try {
      begun(await send("POST", path(["apps", app(), "doctor"]), { body, signal }));
      say(done, "The doctor is at work.");
    } catch (error) {
      if (!signal.aborted) fields.show(error);
    }
    button.disabled = false;
  };
  return h("form", { class: "card form", onsubmit: submit, novalidate: true }, fields.problem, choice.element,
    fields.add("url", "Address that clients are given", url, "With the scheme, and a path where there is one. This node connects to it, and does what a client does."),
    fields.add("origin", "Origin of a page", origin, "Empty: as a program, which has none, or as a page of one of allowed_origins where the app lets in no program."),
    fields.add("patient", "Wait for silence to be cut off", patient, "Two minutes more: a proxy that ends quiet connections shows then."),
    button, done);
}

/** What the relay's paths begin with. @param {any} config */
function prefixOf(config) {
  const prefix = String(config?.server?.path_prefix ?? "");
  return prefix === "" || prefix.startsWith("/") ? prefix : `/${prefix}`;
}
