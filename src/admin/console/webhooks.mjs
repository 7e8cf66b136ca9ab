// The webhooks of an app: where they go, what waits, and what came of it.
import { get, path, regularly } from "./api.mjs";
import { fill, h, visible } from "./dom.mjs";
import { count } from "./format.mjs";
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
export function webhooks({ root, signal, query, keep }) {
  let app = "", looking = new AbortController();
  const body = h("div", {}, h("div", { class: "card" }, h("div", { class: "skeleton" }), h("div", { class: "skeleton" })));
  const look = () => {
    looking.abort();
    looking = new AbortController();
    const mine = AbortSignal.any([signal, looking.signal]);
    let drawn = "";
    regularly(3000, mine, async () => {
      try {
        const said = await get(path(["apps", app, "webhooks"]), mine);
        const now = JSON.stringify(said);
        if (now !== drawn) draw(body, said);
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

/**
 * @param {HTMLElement} body
 * @param {any} said
 */
function draw(body, said) {
  if (said.webhooks.length === 0) {
    fill(body, h("div", { class: "card" }, empty("No webhooks", "A webhook tells the app's backend of channels that become occupied or vacant, and of members. Set ",
      h("code", {}, "[[apps.webhooks]]"), " in config.toml, or webhooks with PATCH /api/apps.")));
    return;
  }
  const failures = said.requests.refused + said.requests.timeout + said.requests.unreachable;
  const dropped = Object.values(said.dropped).reduce((sum, number) => sum + number, 0);
  /** @param {string} title @param {number} number @param {string} [tone] */
  const tile = (title, number, tone = "") => h("section", { class: `card tile small-tile ${number > 0 ? tone : ""}` }, h("h2", {}, title), h("p", {}, h("b", { class: "tile-value" }, count(number))));
  /** @param {string} title @param {Record<string, number>} numbers @param {Record<string, string>} names */
  const table = (title, numbers, names) => h("section", { class: "card" }, h("h2", {}, title), h("dl", { class: "facts" },
    ...Object.entries(numbers).flatMap(([name, number]) => [h("dt", {}, names[name] ?? name), h("dd", { class: "number" }, count(number))])));
  fill(body,
    h("div", { class: "tiles" }, tile("Waiting", said.waiting, "warn"), tile("Sent", said.sent), tile("Requests that failed", failures, "bad"), tile("Dropped", dropped, "bad")),
    h("div", { class: "endpoints" }, ...said.webhooks.map((/** @type {any} */ webhook) => h("section", { class: "card" },
      h("h2", { class: "mono" }, visible(webhook.url)),
      h("p", {}, ...webhook.events.map((/** @type {string} */ name) => h("span", { class: "badge" }, visible(name)))),
      h("p", { class: "muted" }, [
        webhook.batch ? "Several events in a request." : "One event in a request.",
        webhook.filter.channel_prefix && `Channels that begin with ${visible(webhook.filter.channel_prefix)}.`,
        webhook.filter.channel_suffix && `Channels that end with ${visible(webhook.filter.channel_suffix)}.`,
        webhook.headers.length > 0 && `Headers: ${webhook.headers.map(visible).join(", ")}.`,
      ].filter(Boolean).join(" "))))),
    h("div", { class: "outcomes" }, table("Requests since the start", said.requests, OUTCOMES), table("Events dropped since the start", said.dropped, DROPS)),
    h("p", { class: "muted" }, "Numbers are of all webhooks of the app together, on this node. The log has the last failure of each."));
}
