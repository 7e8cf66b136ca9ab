// What passes through the relay, as it passes.
import { copyButton } from "./dialog.mjs";
import { fill, h, say, visible } from "./dom.mjs";
import { clock, count, moment } from "./format.mjs";
import { icon } from "./icons.mjs";
import { KINDS, codeMeans, contains, kindOf, pretty, summary } from "./lines.mjs";
import { List, empty } from "./list.mjs";
import { picker } from "./picker.mjs";
import { watch } from "./stream.mjs";

/** @import { Context } from "./main.mjs" */
/** @import { Filter, Line, State } from "./stream.mjs" */

/** Lines that are kept, the newest ones. */
export const KEPT = 2000;

/** @param {Context} context */
export function events({ root, signal, query, keep, actions }) {
  /** @type {Filter} */
  const filter = { app: query.get("app") ?? "", channel: query.get("channel") ?? "", event: query.get("event") ?? "" };
  const off = new Set((query.get("without") ?? "").split(",").filter((kind) => kind !== ""));
  let opened = new AbortController();
  signal.addEventListener("abort", () => opened.abort());

  const feed = new Feed({
    label: "Live events", wanted: (line) => !off.has(line.type),
    empty: empty("Nothing has passed yet", "What clients and backends do appears here as it happens. ",
      h("a", { href: "#/send" }, "Send an event"), " to see one, or loosen the filters."),
  });
  const restart = () => {
    // What was typed just before the page was left.
    if (signal.aborted) return;
    opened.abort();
    opened = new AbortController();
    watch(filter, opened.signal, (lines, leftOut) => feed.add(lines, leftOut), (state, why) => feed.state(state, why));
  };
  /** @param {"channel" | "event"} name @param {string} label */
  const pattern = (name, label) => {
    let timer = 0;
    const input = h("input", {
      class: "input", value: filter[name] ?? "", placeholder: "*", spellcheck: "false",
      oninput: () => {
        clearTimeout(timer);
        timer = setTimeout(() => { filter[name] = input.value.trim(); keep({ [name]: filter[name] ?? "" }); restart(); }, 400);
      },
    });
    return h("label", { class: "field-inline" }, h("span", {}, label), input);
  };
  const app = picker({
    wanted: filter.app ?? "", any: "All apps", signal,
    onChange: (id) => { filter.app = id; keep({ app: id }); restart(); },
  });
  app.ready.catch(() => null);
  const search = h("input", {
    class: "input", type: "search", placeholder: "Search what is shown", "aria-label": "Search what is shown", "data-search": true,
    value: query.get("q") ?? "", oninput: () => { keep({ q: search.value }); feed.search(search.value); },
  });
  feed.search(search.value);
  const chips = Object.entries(KINDS).map(([kind, { name, tone }]) => h("button", {
    type: "button", class: `chip ${tone}`, "aria-pressed": String(!off.has(kind)),
    onclick: (/** @type {Event} */ event) => {
      if (!off.delete(kind)) off.add(kind);
      /** @type {Element} */ (event.currentTarget).setAttribute("aria-pressed", String(!off.has(kind)));
      keep({ without: [...off].join(",") });
      feed.filter();
    },
  }, name));
  actions(feed.pause, feed.clear);
  fill(root, h("div", { class: "card toolbar" },
    h("div", { class: "toolbar-row" }, app.element, pattern("channel", "Channel"), pattern("event", "Event"), search),
    h("div", { class: "toolbar-row", role: "group", "aria-label": "Kinds" }, ...chips)), feed.element);
  restart();
}

/** A list of lines that grows at its top, with one of them in full beside it. */
export class Feed {
  /** @type {Line[]} the newest first */ all = [];
  /** @type {Line[]} those that came while it was paused */ held = [];
  /** @type {Line[]} */ found = [];
  leftOut = 0;
  received = 0;
  paused = false;
  /** @type {string} */ text = "";

  /** @param {{ label: string, empty: Node, brief?: boolean, wanted?: (line: Line) => boolean }} options */
  constructor(options) {
    this.options = options;
    this.mark = h("span", { class: "live connecting" }, "Connecting…");
    this.numbers = h("span", { class: "muted numbers" });
    this.missed = h("span", { class: "badge warn" });
    this.missed.hidden = true;
    this.detail = h("aside", { class: "card detail", "aria-label": "The event in full" });
    this.detail.hidden = true;
    this.pause = h("button", { class: "button", type: "button", "aria-pressed": "false", onclick: () => this.toggle() });
    this.clear = h("button", { class: "button", type: "button", onclick: () => this.empty() }, "Clear");
    this.label();
    /** @type {List<Line>} */
    this.list = new List({
      label: options.label, layout: options.brief ? "events-list brief" : "events-list", rowHeight: 32, columns: ["Time", "Kind", "App", "Channel", "Event", "What"],
      cells: (line) => {
        const kind = kindOf(line);
        return [
          h("time", { class: "mono muted", title: moment(line.time / 1000) }, clock(line.time)),
          h("span", { class: `mark ${kind.tone}` }, kind.name), h("span", { class: "muted" }, visible(line.app ?? "")),
          h("span", {}, visible(line.channel ?? "")), h("span", {}, visible(line.event ?? line.user_id ?? line.socket_id ?? "")),
          h("span", { class: "mono muted" }, summary(line).slice(0, 300)),
        ];
      },
      open: (line) => this.open(line), empty: options.empty,
    });
    this.list.set([]);
    this.element = h("div", { class: "feed" },
      h("div", { class: "card feed-card" }, h("div", { class: "feed-head" }, this.mark, this.numbers, this.missed), this.list.element), this.detail);
  }

  label() {
    fill(this.pause, icon(this.paused ? "play" : "pause"), this.paused ? "Go on" : "Pause");
    this.pause.setAttribute("aria-pressed", String(this.paused));
  }

  toggle() {
    this.paused = !this.paused;
    this.label();
    if (!this.paused) {
      const held = this.held;
      this.held = [];
      this.show(held);
    }
    this.count();
  }

  empty() {
    this.all = [];
    this.held = [];
    this.received = 0;
    this.leftOut = 0;
    this.filter();
    this.count();
  }

  /** @param {State} state @param {string} why */
  state(state, why) {
    this.mark.className = `live ${state}`;
    const texts = { connecting: "Connecting…", live: "Live", lost: `${why} Trying again…` };
    say(this.mark, texts[state]);
  }

  /** @param {Line[]} lines oldest first @param {number} leftOut */
  add(lines, leftOut) {
    this.received += lines.length;
    this.leftOut += leftOut;
    if (this.paused) this.held = [...lines.toReversed(), ...this.held].slice(0, KEPT);
    else this.show(lines.toReversed());
    this.count();
  }

  /** @param {Line[]} newest the newest first */
  show(newest) {
    if (newest.length === 0) return;
    this.all = [...newest, ...this.all].slice(0, KEPT);
    const fresh = newest.filter((line) => this.fits(line));
    this.found = [...fresh, ...this.found].slice(0, KEPT);
    this.list.setWithAdded(this.found, fresh.length);
  }

  count() {
    const held = this.paused ? `, ${count(this.held.length)} since the pause` : "";
    const shown = this.found.length === this.all.length ? "" : `${count(this.found.length)} of `;
    say(this.numbers, `${shown}${count(this.all.length)} shown, ${count(this.received)} received${held}`);
    this.missed.hidden = this.leftOut === 0;
    say(this.missed, `${count(this.leftOut)} left out: more passed than a stream shows`);
  }

  /** @param {Line} line */
  fits(line) {
    return (this.options.wanted?.(line) ?? true) && contains(line, this.text);
  }

  filter() {
    this.found = this.all.filter((line) => this.fits(line));
    this.list.set(this.found);
    this.count();
  }

  /** @param {string} text */
  search(text) {
    this.text = text.trim().toLowerCase();
    this.filter();
  }

  /** @param {Line} line */
  open(line) {
    const kind = kindOf(line);
    /** @param {string} name @param {string | undefined} value @param {string} [href] */
    const fact = (name, value, href) => (value === undefined ? [] : [h("dt", {}, name),
      h("dd", { class: "mono" }, href === undefined ? visible(value) : h("a", { href }, visible(value)))]);
    const app = encodeURIComponent(line.app ?? "");
    this.detail.hidden = false;
    fill(this.detail, h("header", { class: "card-head" }, h("h2", {}, h("span", { class: `mark ${kind.tone}` }, kind.name)),
      h("button", { class: "button small icon-only", type: "button", "aria-label": "Close", onclick: () => { this.detail.hidden = true; } }, icon("close"))),
    h("dl", { class: "facts" },
      ...fact("Time", moment(line.time / 1000)), ...fact("App", line.app, `#/apps/${app}`),
      ...fact("Channel", line.channel, `#/channels/${app}/${encodeURIComponent(line.channel ?? "")}`), ...fact("Event", line.event),
      ...fact(line.type === "publish" ? "Left out" : "Socket", line.socket_id, `#/connections/${app}/${encodeURIComponent(line.socket_id ?? "")}`),
      ...fact("User", line.user_id), ...fact("Address", line.address), ...fact("Transport", line.transport),
      ...fact("Code", line.code === undefined ? undefined : `${line.code}${line.type === "disconnect" ? `: ${codeMeans(line.code)}` : ""}`),
      ...fact("Message", line.message)),
    line.data !== undefined && h("div", { class: "payload" },
      h("header", {}, h("h3", {}, "Data"), copyButton(() => line.data ?? "", "the data")),
      h("pre", { tabindex: 0 }, pretty(line.data)),
      line.truncated && h("p", { class: "muted" }, "It was longer: the stream shows 4 KB of an event.")));
  }
}
