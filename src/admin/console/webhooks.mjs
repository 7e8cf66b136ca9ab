// The webhooks of an app: where they go, what waits, what failed, and whether they take a test.
import { get, path, reason, regularly, send } from "./api.mjs";
import { fill, h, visible } from "./dom.mjs";
import { clock, count, duration, moment, plural, size, when } from "./format.mjs";
import { icon } from "./icons.mjs";
import { empty } from "./list.mjs";
import { failed, picker } from "./picker.mjs";

/** @import { Context } from "./main.mjs" */

const OUTCOMES = /** @type {Record<string, string>} */ ({
  ok: "taken (2xx)", refused: "answered with another status", timeout: "no answer in time", unreachable: "not reached",
});

const DROPS = /** @type {Record<string, string>} */ ({
  backlog: "too much waited", public_backlog: "too much of public channels waited", expired: "failed until it was too old",
  shutdown: "the relay stopped", removed: "the webhook is gone",
});

/** @param {Context} context */
export function webhooks({ root, signal, query, keep, mayChange }) {
  let app = "", looking = new AbortController();
  const body = h("div", { class: "stack" }, h("div", { class: "card" }, h("div", { class: "skeleton" }), h("div", { class: "skeleton" })));
  const tests = new Tests(() => app, signal);
  const look = () => {
    looking.abort();
    looking = new AbortController();
    const mine = AbortSignal.any([signal, looking.signal]);
    let drawn = "";
    tests.forget();
    regularly(3000, mine, async () => {
      try {
        const said = await get(path(["apps", app, "webhooks"]), mine);
        const now = JSON.stringify(said);
        if (now !== drawn) draw(body, said, mayChange ? tests : null);
        drawn = now;
      } catch (error) {
        if (!mine.aborted) { drawn = ""; fill(body, failed(error, look)); }
      }
    });
  };
  const choice = picker({ wanted: query.get("app"), signal, onChange: (id) => { app = id; keep({ app: id }); look(); } });
  fill(root, h("div", { class: "card toolbar" }, h("div", { class: "toolbar-row" }, choice.element)), body);
  choice.ready.then((id) => {
    if (id === null) { fill(body, h("div", { class: "card" }, empty("No apps", "Webhooks belong to an app."))); return; }
    app = id;
    look();
  }).catch((error) => { if (!signal.aborted) fill(body, failed(error, () => location.reload())); });
}

/** Tests of webhooks, and what came of them while the page is shown. */
class Tests {
  /** @type {Map<string, HTMLElement>} by place and address */ results = new Map();
  /**
   * @param {() => string} app
   * @param {AbortSignal} signal
   */
  constructor(app, signal) {
    this.app = app;
    this.signal = signal;
  }

  /** Another app is shown. */
  forget() {
    this.results.clear();
  }

  /** Where the result of a webhook stands. @param {number} index @param {string} url */
  result(index, url) {
    const key = `${index} ${url}`;
    const known = this.results.get(key) ?? h("div", { class: "test-result", role: "status" });
    this.results.set(key, known);
    return known;
  }

  /** @param {number} index @param {string} url */
  button(index, url) {
    const button = h("button", {
      class: "button small", type: "button", "aria-label": `Send a test to webhook ${index + 1}, ${visible(url)}`,
      onclick: async () => {
        button.disabled = true;
        await this.send(index, url);
        button.disabled = false;
      },
    }, icon("send"), "Send a test");
    return button;
  }

  /** @param {number} index @param {string} url */
  async send(index, url) {
    const app = this.app(), result = this.result(index, url);
    fill(result, h("p", { class: "muted" }, "Waiting for an answer, ten seconds at most…"));
    try {
      const { tests } = await send("POST", path(["apps", app, "webhooks", "test"], { webhook: index + 1 }), { signal: this.signal });
      fill(result, ...tests.map((/** @type {any} */ test) => h("p", { class: test.taken ? "verdict good" : "verdict bad" },
        h("time", { class: "mono" }, clock(Date.now()).slice(0, 8)), " ",
        test.taken ? `Taken: it answered ${test.status} after ${duration(test.took)}.` : `Not taken after ${duration(test.took)}: ${reason(new Error(test.error))}`)));
    } catch (error) {
      if (!this.signal.aborted) fill(result, h("p", { class: "verdict bad" }, reason(error)));
    }
  }
}

/**
 * @param {HTMLElement} body
 * @param {any} said
 * @param {Tests | null} tests null: whoever looks may send none
 */
function draw(body, said, tests) {
  if (said.webhooks.length === 0) {
    fill(body, h("div", { class: "card" }, empty("No webhooks", "A webhook tells the app's backend of channels that become occupied or vacant, and of members. Set ",
      h("code", {}, "[[apps.webhooks]]"), " in config.toml or, for an app that is made here, edit the app.")));
    return;
  }
  const failures = said.requests.refused + said.requests.timeout + said.requests.unreachable;
  const dropped = Object.values(said.dropped).reduce((sum, number) => sum + number, 0);
  /** @param {string} title @param {number} number @param {string} [tone] */
  const tile = (title, number, tone = "") => h("section", { class: `card tile small-tile ${number > 0 ? tone : ""}` }, h("h2", {}, title), h("p", {}, h("b", { class: "tile-value" }, count(number))));
  /** @param {string} title @param {Record<string, number>} numbers @param {Record<string, string>} names */
  const table = (title, numbers, names) => h("section", { class: "card" }, h("h2", {}, title), h("dl", { class: "facts" },
    ...Object.entries(numbers).flatMap(([name, number]) => [h("dt", {}, names[name] ?? name), h("dd", { class: "number" }, count(number))])));
  // What is being read, or used, stays.
  const focused = document.activeElement?.getAttribute("aria-label");
  const open = new Set([...body.querySelectorAll("details[open]")].map((details) => /** @type {HTMLElement} */ (details).dataset.url));
  fill(body,
    said.cluster && h("p", { class: "muted" }, "This node alone: each node of the cluster sends what happens at it, and its console shows that."),
    h("div", { class: "tiles" }, tile("Waiting", said.waiting, "warn"), tile("Sent", said.sent), tile("Requests that failed", failures, "bad"), tile("Dropped", dropped, "bad")),
    ...said.webhooks.map((/** @type {any} */ webhook, /** @type {number} */ index) => endpoint(webhook, index, open.has(String(index)), tests)),
    h("div", { class: "outcomes" }, table("Requests since the start", said.requests, OUTCOMES), table("Events dropped since the start", said.dropped, DROPS)),
    h("p", { class: "muted" }, "Numbers are of this node, since it was started. The tiles and the tables are of all webhooks of the app together."));
  if (focused) /** @type {HTMLElement | null} */ (body.querySelector(`[aria-label="${CSS.escape(focused)}"]`))?.focus();
}

/**
 * @param {any} webhook
 * @param {number} index
 * @param {boolean} isOpen
 * @param {Tests | null} tests
 */
function endpoint(webhook, index, isOpen, tests) {
  const url = visible(webhook.url);
  const newest = webhook.failures[0];
  const isFailing = newest !== undefined && (webhook.last_taken === null || newest.at > webhook.last_taken);
  const state = isFailing ? h("span", { class: "badge bad" }, "failing") : webhook.last_taken !== null && h("span", { class: "badge good" }, "takes events");
  const notes = [
    webhook.batch ? "Several events in a request." : "One event in a request.",
    webhook.filter.channel_prefix && `Channels that begin with ${visible(webhook.filter.channel_prefix)}.`,
    webhook.filter.channel_suffix && `Channels that end with ${visible(webhook.filter.channel_suffix)}.`,
    webhook.headers.length > 0 && `Headers: ${webhook.headers.map(visible).join(", ")}.`,
  ].filter(Boolean).join(" ");
  const failures = h("details", { class: "failures", "data-url": String(index) },
    h("summary", {}, `${plural(webhook.failures.length, "failure")}, the newest first`),
    h("div", { class: "scrolled", tabindex: 0, role: "region", "aria-label": `Failures of webhook ${index + 1}, ${url}` }, h("table", { class: "plain-table" },
      h("thead", {}, h("tr", {}, ...["When", "Events", "Attempt", "What came of it", "Next"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...webhook.failures.map((/** @type {any} */ failure) => h("tr", {},
        h("td", {}, when(failure.at)),
        h("td", { class: "mono" }, failure.kinds.map(visible).join(", "), failure.events > failure.kinds.length && h("span", { class: "muted" }, ` (${plural(failure.events, "event")})`)),
        h("td", {}, count(failure.attempt)),
        h("td", {}, reason(new Error(visible(failure.reason)))),
        h("td", {}, failure.retry_at === null ? h("span", { class: "verdict bad" }, "given up") : h("time", { title: moment(failure.retry_at) }, clock(failure.retry_at * 1000).slice(0, 8))),
      ))))));
  failures.open = isOpen;
  return h("section", { class: "card endpoint" },
    h("div", { class: "card-head" }, h("h2", {}, `Webhook ${index + 1}`), h("span", { class: "mono where" }, url), state, tests?.button(index, webhook.url)),
    h("p", {}, ...webhook.events.map((/** @type {string} */ name) => h("span", { class: "badge" }, visible(name)))),
    h("p", { class: "muted" }, notes),
    h("dl", { class: "figures" },
      h("div", {}, h("dt", {}, "Waiting"), h("dd", {}, `${count(webhook.waiting)}${webhook.waiting > 0 ? ` (${size(webhook.waiting_bytes)})` : ""}`)),
      h("div", {}, h("dt", {}, "Sent"), h("dd", {}, count(webhook.sent))),
      h("div", {}, h("dt", {}, "Failed requests"), h("dd", {}, count(webhook.failed))),
      h("div", {}, h("dt", {}, "Last taken"), h("dd", {}, webhook.last_taken === null ? "never" : when(webhook.last_taken)))),
    tests?.result(index, webhook.url),
    webhook.failures.length > 0 && failures);
}
