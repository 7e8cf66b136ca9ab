// An event, published as a backend would.
import { path, reason, send } from "./api.mjs";
import { fill, h, say, visible } from "./dom.mjs";
import { clock, plural } from "./format.mjs";
import { failed, picker } from "./picker.mjs";

/** @import { Context } from "./main.mjs" */

/** @param {Context} context */
export function sender({ root, signal, query, keep, mayChange }) {
  let app = "";
  const choice = picker({ wanted: query.get("app"), signal, onChange: (id) => { app = id; keep({ app: id }); } });
  /** @param {string} label @param {HTMLElement} input @param {string} help */
  const field = (label, input, help) => {
    const id = input.id;
    input.setAttribute("aria-describedby", `${id}-help`);
    return h("div", { class: "field" }, h("label", { for: id }, label), input, h("p", { class: "muted", id: `${id}-help` }, help));
  };
  const channels = h("textarea", { class: "input mono", id: "send-channels", rows: 2, required: true, spellcheck: "false" }, query.get("channel") ?? "");
  const event = h("input", { class: "input mono", id: "send-event", required: true, value: query.get("event") ?? "message", spellcheck: "false" });
  const data = h("textarea", { class: "input mono", id: "send-data", rows: 9, spellcheck: "false", oninput: () => judge() }, '{\n  "text": "Hello from the console"\n}');
  const except = h("input", { class: "input mono", id: "send-except", spellcheck: "false", placeholder: "123.456", pattern: "\\d+\\.\\d+" });
  const verdict = h("p", { class: "field-error", role: "status" });
  const results = h("ol", { class: "plain results", "aria-live": "polite" });
  const button = h("button", { class: "button primary", type: "submit", disabled: true }, mayChange ? "Send" : "Takes a token of the role write");
  const judge = () => {
    const text = data.value.trim();
    let wrong = "";
    try { if (text !== "") JSON.parse(text); } catch (error) { wrong = `The data is no JSON: ${error instanceof Error ? error.message : error}. A text stands in quotes.`; }
    say(verdict, wrong);
    data.setAttribute("aria-invalid", String(wrong !== ""));
    return wrong === "";
  };
  const submit = async (/** @type {Event} */ submitted) => {
    submitted.preventDefault();
    if (!judge()) { data.focus(); return; }
    const names = channels.value.split(/[\s,]+/).filter((name) => name !== "");
    if (names.length === 0) { channels.focus(); return; }
    const body = {
      name: event.value, channels: names, data: data.value.trim() === "" ? "" : data.value.trim(),
      ...(except.value === "" ? {} : { socket_id: except.value }),
    };
    button.disabled = true;
    const began = performance.now();
    let text = "", tone = "good";
    try {
      await send("POST", path(["apps", app, "events"]), { body, signal });
      text = `Published ${visible(event.value)} to ${names.length === 1 ? visible(names[0]) : plural(names.length, "channel")} in ${Math.round(performance.now() - began)} ms.`;
    } catch (error) {
      text = reason(error);
      tone = "bad";
    }
    button.disabled = false;
    if (signal.aborted) return;
    results.querySelector(".muted")?.remove();
    results.prepend(h("li", { class: `result ${tone}` }, h("time", { class: "mono muted" }, clock(Date.now()).slice(0, 8)), h("span", {}, text)));
    while (results.children.length > 20) results.lastElementChild?.remove();
  };
  const problem = h("div", {});
  choice.ready.then((id) => { app = id ?? ""; button.disabled = id === null || !mayChange; })
    .catch((error) => { if (!signal.aborted) fill(problem, failed(error, () => location.reload())); });
  fill(results, h("li", { class: "muted" }, "What becomes of an event appears here."));
  fill(root, problem, h("div", { class: "split wide-left" },
    h("form", { class: "card form", onsubmit: submit },
      choice.element,
      field("Channels", channels, "One or several, apart by commas or lines."),
      field("Event", event, "Its name. Those that begin with pusher: are the protocol's own."),
      h("div", { class: "field" }, h("label", { for: "send-data" }, "Data, as JSON"), data, verdict),
      field("Leave out", except, "The socket id of a connection that is not to get it; mostly empty."),
      button),
    h("section", { class: "card" }, h("h2", {}, "Results"), results)));
}
