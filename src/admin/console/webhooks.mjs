// The webhooks of an app: where they go, what waits, what failed, and whether they take a test.
import { get, path, reason, regularly, send } from "./api.mjs";
import { fill, h, say, visible } from "./dom.mjs";
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
    let drawn = "", shape = "";
    /** @type {(said: any) => void} */ let renew = () => {};
    tests.forget();
    regularly(3000, mine, async () => {
      try {
        const said = await get(path(["apps", app, "webhooks"]), mine);
        const now = JSON.stringify(said);
        if (shapeOf(said) !== shape) renew = draw(body, said, mayChange ? tests : null);
        if (now !== drawn) renew(said);
        [drawn, shape] = [now, shapeOf(said)];
      } catch (error) {
        if (!mine.aborted) { drawn = shape = ""; fill(body, failed(error, look)); }
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

/** What the page is built for; everything else changes in its place. @param {any} said */
function shapeOf(said) {
  const settings = said.webhooks.map((/** @type {any} */ { url, events, batch, filter, headers }) => [url, events, batch, filter, headers]);
  return JSON.stringify([said.cluster, settings, Object.keys(said.requests), Object.keys(said.dropped)]);
}

/** @typedef {{ element: HTMLElement, renew: (said: any) => void }} Part */

/**
 * Builds the page. Returns what brings it up to date: elements stay while numbers change, as clicks and the focus are lost with those
 * that are made anew.
 * @param {HTMLElement} body
 * @param {any} said
 * @param {Tests | null} tests null: whoever looks may send none
 * @returns {(said: any) => void}
 */
function draw(body, said, tests) {
  if (said.webhooks.length === 0) {
    fill(body, h("div", { class: "card" }, empty("No webhooks", "A webhook tells the app's backend of channels that become occupied or vacant, and of members. Set ",
      h("code", {}, "[[apps.webhooks]]"), " in config.toml or, for an app that is made here, edit the app.")));
    return () => {};
  }
  const tiles = [
    tile("Waiting", "warn", ({ waiting }) => waiting), tile("Sent", "", ({ sent }) => sent),
    tile("Requests that failed", "bad", ({ requests }) => requests.refused + requests.timeout + requests.unreachable),
    tile("Dropped", "bad", ({ dropped }) => Object.values(dropped).reduce((sum, number) => sum + number, 0)),
  ];
  const endpoints = said.webhooks.map((/** @type {any} */ webhook, /** @type {number} */ index) => endpoint(webhook, index, tests));
  const tables = [
    table("Requests since the start", OUTCOMES, said.requests, ({ requests }) => requests),
    table("Events dropped since the start", DROPS, said.dropped, ({ dropped }) => dropped),
  ];
  const elements = (/** @type {Part[]} */ parts) => parts.map(({ element }) => element);
  fill(body,
    said.cluster && h("p", { class: "muted" }, "This node alone: each node of the cluster sends what happens at it, and its console shows that."),
    h("div", { class: "tiles" }, ...elements(tiles)), ...elements(endpoints), h("div", { class: "outcomes" }, ...elements(tables)),
    h("p", { class: "muted" }, "Numbers are of this node, since it was started. The tiles and the tables are of all webhooks of the app together."));
  return (now) => { for (const { renew } of [...tiles, ...endpoints, ...tables]) renew(now); };
}

/**
 * @param {string} title
 * @param {string} tone where there are some
 * @param {(said: any) => number} of
 * @returns {Part}
 */
function tile(title, tone, of) {
  const value = h("b", { class: "tile-value" });
  const element = h("section", {}, h("h2", {}, title), h("p", {}, value));
  return { element, renew: (said) => {
    element.className = `card tile small-tile ${of(said) > 0 ? tone : ""}`;
    say(value, count(of(said)));
  } };
}

/**
 * @param {string} title
 * @param {Record<string, string>} names
 * @param {Record<string, number>} numbers
 * @param {(said: any) => Record<string, number>} of
 * @returns {Part}
 */
function table(title, names, numbers, of) {
  const values = Object.keys(numbers).map((name) => ({ name, value: h("dd", { class: "number" }) }));
  const element = h("section", { class: "card" }, h("h2", {}, title),
    h("dl", { class: "facts" }, ...values.flatMap(({ name, value }) => [h("dt", {}, names[name] ?? name), value])));
  return { element, renew: (said) => { for (const { name, value } of values) say(value, count(of(said)[name] ?? 0)); } };
}

/**
 * @param {any} webhook
 * @param {number} index
 * @param {Tests | null} tests
 * @returns {Part}
 */
function endpoint(webhook, index, tests) {
  const url = visible(webhook.url);
  const notes = [
    webhook.batch ? "Several events in a request." : "One event in a request.",
    webhook.filter.channel_prefix && `Channels that begin with ${visible(webhook.filter.channel_prefix)}.`,
    webhook.filter.channel_suffix && `Channels that end with ${visible(webhook.filter.channel_suffix)}.`,
    webhook.headers.length > 0 && `Headers: ${webhook.headers.map(visible).join(", ")}.`,
  ].filter(Boolean).join(" ");
  const state = h("span", { class: "badge" });
  const [waiting, sent, failedOnes, taken] = [h("dd"), h("dd"), h("dd"), h("dd")];
  const summary = h("summary"), rows = h("tbody");
  const failures = h("details", { class: "failures" }, summary,
    h("div", { class: "scrolled", tabindex: 0, role: "region", "aria-label": `Failures of webhook ${index + 1}, ${url}` }, h("table", { class: "plain-table" },
      h("thead", {}, h("tr", {}, ...["When", "Events", "Attempt", "What came of it", "Next"].map((name) => h("th", { scope: "col" }, name)))), rows)));
  const element = h("section", { class: "card endpoint" },
    h("div", { class: "card-head" }, h("h2", {}, `Webhook ${index + 1}`), h("span", { class: "mono where" }, url), state, tests?.button(index, webhook.url)),
    h("p", {}, ...webhook.events.map((/** @type {string} */ name) => h("span", { class: "badge" }, visible(name)))),
    h("p", { class: "muted" }, notes),
    h("dl", { class: "figures" }, ...[["Waiting", waiting], ["Sent", sent], ["Failed requests", failedOnes], ["Last taken", taken]]
      .map(([name, value]) => h("div", {}, h("dt", {}, name), value))),
    tests?.result(index, webhook.url), failures);
  const renew = (/** @type {any} */ said) => {
    const now = said.webhooks[index];
    const newest = now.failures[0];
    const isFailing = newest !== undefined && (now.last_taken === null || newest.at > now.last_taken);
    state.className = `badge ${isFailing ? "bad" : "good"}`;
    state.hidden = !isFailing && now.last_taken === null;
    say(state, isFailing ? "failing" : "takes events");
    say(waiting, `${count(now.waiting)}${now.waiting > 0 ? ` (${size(now.waiting_bytes)})` : ""}`);
    say(sent, count(now.sent));
    say(failedOnes, count(now.failed));
    fill(taken, now.last_taken === null ? "never" : when(now.last_taken));
    failures.hidden = now.failures.length === 0;
    say(summary, `${plural(now.failures.length, "failure")}, the newest first`);
    fill(rows, ...now.failures.map(failureRow));
  };
  return { element, renew };
}

/** @param {any} failure */
function failureRow(failure) {
  return h("tr", {},
    h("td", {}, when(failure.at)),
    h("td", { class: "mono" }, failure.kinds.map(visible).join(", "), failure.events > failure.kinds.length && h("span", { class: "muted" }, ` (${plural(failure.events, "event")})`)),
    h("td", {}, count(failure.attempt)),
    h("td", {}, reason(new Error(visible(failure.reason)))),
    h("td", {}, failure.retry_at === null ? h("span", { class: "verdict bad" }, "given up") : h("time", { title: moment(failure.retry_at) }, clock(failure.retry_at * 1000).slice(0, 8))));
}
