// The channels of an app, and one of them.
import { get, path, reason, regularly } from "./api.mjs";
import { fill, h, say, visible } from "./dom.mjs";
import { Feed } from "./events.mjs";
import { count, plural } from "./format.mjs";
import { icon } from "./icons.mjs";
import { List, empty } from "./list.mjs";
import { failed, picker } from "./picker.mjs";
import { watch } from "./stream.mjs";

/** @import { Context } from "./main.mjs" */

/** @typedef {{ name: string, kind: string, subscribers: number, users?: number }} Channel */

/** Channels asked for at a time. */
const PART = 1000;

/** @param {Context} context */
export function channels(context) {
  const [app, name] = context.parts;
  if (app !== undefined && name !== undefined) one(context, app, name);
  else all(context);
}

/** @param {Context} context */
function all({ root, signal, query, keep, actions }) {
  let app = "", loading = new AbortController();
  /** @type {Channel[]} */ let shown = [];
  /** @type {string | null} */ let next = null;
  let busy = false;
  const prefix = h("input", {
    class: "input", type: "search", placeholder: "Names that begin with…", "aria-label": "Names that begin with", spellcheck: "false",
    "data-search": true, value: query.get("prefix") ?? "",
    oninput: () => { keep({ prefix: prefix.value }); later(); },
  });
  const total = h("span", { class: "muted", "aria-live": "polite" });
  const problem = h("div", {});
  /** @type {List<Channel>} */
  const list = new List({
    label: "Channels", layout: "channels-list", columns: ["Channel", "Kind", "Subscribers", "Users"],
    cells: (channel) => [
      h("a", { href: `#/channels/${encodeURIComponent(app)}/${encodeURIComponent(channel.name)}` }, visible(channel.name)),
      h("span", { class: `mark kind-${channel.kind}` }, channel.kind.replaceAll("_", " ")),
      h("span", { class: "number" }, count(channel.subscribers)), h("span", { class: "number" }, channel.users === undefined ? "" : count(channel.users)),
    ],
    open: (channel) => { location.hash = `#/channels/${encodeURIComponent(app)}/${encodeURIComponent(channel.name)}`; },
    end: () => { if (next !== null && !busy) load(false); },
    empty: empty("No channels", "Nobody is subscribed to a channel whose name begins so. A channel is there as long as it has subscribers."),
  });
  let timer = 0;
  const later = () => { clearTimeout(timer); timer = setTimeout(() => load(true), 200); };
  /** @param {boolean} anew */
  const load = async (anew) => {
    if (app === "") return;
    if (anew) { loading.abort(); loading = new AbortController(); } else if (busy) return;
    busy = true;
    const mine = loading;
    try {
      const after = anew ? null : next;
      const part = await get(path(["apps", app, "channels"], { prefix: prefix.value, limit: PART, after }), AbortSignal.any([signal, mine.signal]));
      if (mine !== loading) return;
      shown = anew ? part.channels : [...shown, ...part.channels];
      next = part.next;
      busy = false;
      say(total, plural(part.total, "channel"));
      fill(problem);
      list.set(shown);
    } catch (error) {
      if (signal.aborted || mine.signal.aborted) return;
      busy = false;
      fill(problem, failed(error, () => load(true)));
    }
  };
  const choice = picker({ wanted: query.get("app"), signal, onChange: (id) => { app = id; keep({ app: id }); list.body.scrollTop = 0; load(true); } });
  actions(h("button", { class: "button", type: "button", onclick: () => load(true) }, icon("refresh"), "Refresh"));
  fill(root, h("div", { class: "card toolbar" }, h("div", { class: "toolbar-row" }, choice.element, prefix, total)), problem, h("div", { class: "card" }, list.element));
  choice.ready.then((id) => {
    if (id === null) { list.set([]); return; }
    app = id;
    load(true);
  }).catch((error) => { if (!signal.aborted) fill(problem, failed(error, () => location.reload())); });
}

/**
 * @param {Context} context
 * @param {string} app
 * @param {string} name
 */
function one({ root, signal, actions }, app, name) {
  const isPresence = name.startsWith("presence-");
  const number = (/** @type {string} */ title) => {
    const value = h("b", { class: "tile-value" }, "–");
    return { value, element: h("section", { class: "card tile small-tile" }, h("h2", {}, title), h("p", {}, value)) };
  };
  const [kind, subscribers, users, state] = [number("Kind"), number("Subscribers"), number("Users"), number("State")];
  const problem = h("div", { class: "banner", role: "alert" });
  problem.hidden = true;
  const memberTotal = h("span", { class: "muted" });
  /** @type {{ user_id: string }[]} */ let members = [];
  /** @type {string | null} */ let next = null;
  let busy = false;
  /** @type {List<{ user_id: string }>} */
  const list = new List({
    label: "Members", layout: "members-list", columns: ["User"], key: (member) => member.user_id,
    cells: (member) => [h("a", { href: `#/trace?app=${encodeURIComponent(app)}&by=user&value=${encodeURIComponent(member.user_id)}` }, visible(member.user_id))],
    end: () => { if (next !== null && !busy) more(); },
    empty: empty("No members", "Nobody is on this channel."),
  });
  const more = async () => {
    busy = true;
    const after = next;
    try {
      const part = await get(path(["apps", app, "channels", name, "members"], { limit: 1000, after }), signal);
      // A look has come meanwhile, and what is there ends elsewhere: the part would not join it.
      if (next === after) {
        members = [...members, ...part.members];
        next = part.next;
        list.set(members);
      }
    } catch { /* the next look says what is wrong */ }
    busy = false;
  };
  const feed = new Feed({
    label: "Events of this channel", brief: true,
    empty: empty("Nothing yet", "What is published to this channel, and who comes and goes, appears here from now on."),
  });
  watch({ app, channel: name }, signal, (lines, leftOut) => feed.add(lines, leftOut), (now, why) => feed.state(now, why));
  actions(
    h("a", { class: "button", href: `#/trace?app=${encodeURIComponent(app)}&by=channel&value=${encodeURIComponent(name)}` }, icon("trace"), "Trace"),
    h("a", { class: "button primary", href: `#/send?app=${encodeURIComponent(app)}&channel=${encodeURIComponent(name)}` }, icon("send"), "Send an event"));
  fill(root, h("p", { class: "crumbs" }, h("a", { href: `#/channels?app=${encodeURIComponent(app)}` }, icon("back"), "Channels of ", visible(app))),
    h("h2", { class: "subject mono" }, visible(name)), problem,
    h("div", { class: "tiles" }, kind.element, subscribers.element, users.element, state.element),
    h("div", { class: isPresence ? "split wide-left" : "" }, feed.element,
      isPresence && h("section", { class: "card members" }, h("header", { class: "card-head" }, h("h2", {}, "Members"), memberTotal), list.element)));
  users.element.hidden = !isPresence;
  regularly(3000, signal, async () => {
    try {
      const channel = await get(path(["apps", app, "channels", name]), signal);
      say(kind.value, channel.kind.replaceAll("_", " "));
      say(subscribers.value, count(channel.subscribers));
      say(users.value, count(channel.users ?? 0));
      say(state.value, channel.has_event ? "event kept" : channel.occupied ? "occupied" : "vacant");
      if (isPresence) {
        const part = await get(path(["apps", app, "channels", name, "members"], { limit: Math.min(1000, Math.max(100, members.length)) }), signal);
        if (members.length <= part.members.length || part.next === null) {
          members = part.members;
          next = part.next;
          list.set(members);
        }
        say(memberTotal, plural(part.total, "member"));
      }
      problem.hidden = true;
    } catch (error) {
      if (signal.aborted) return;
      problem.hidden = false;
      say(problem, reason(error));
    }
  });
}
