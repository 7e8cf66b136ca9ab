// One user, socket or channel, followed: what reached it, what did not, and why.
import { ApiError, get, path, reason, regularly } from "./api.mjs";
import { fill, h, say, visible } from "./dom.mjs";
import { clock, plural, size, when } from "./format.mjs";
import { codeMeans, kindOf, pretty } from "./lines.mjs";
import { empty } from "./list.mjs";
import { picker } from "./picker.mjs";
import { watch } from "./stream.mjs";

/** @import { Context } from "./main.mjs" */
/** @import { Connection } from "./connections.mjs" */
/** @import { Line } from "./stream.mjs" */

/** Entries that are kept, and parts of a thousand connections that a user is looked for in. */
const KEPT = 300, PARTS = 20;

/** How often a look is repeated at once because something has changed meanwhile. */
const AGAIN = 3;

/** @typedef {{ tone: string, verdict: string, why: string }} Verdict */

/** @param {Context} context */
export function trace({ root, signal, query, keep }) {
  let app = "";
  let following = new AbortController();
  signal.addEventListener("abort", () => following.abort());
  const choice = picker({ wanted: query.get("app"), signal, onChange: (id) => { app = id; keep({ app: id }); begin(); } });
  const by = h("select", { class: "input", "aria-label": "What to follow" },
    h("option", { value: "socket" }, "Socket"), h("option", { value: "user" }, "User"), h("option", { value: "channel" }, "Channel"));
  by.value = query.get("by") ?? "socket";
  const value = h("input", {
    class: "input mono", "aria-label": "Which one", placeholder: "socket id, user id or channel", spellcheck: "false", required: true,
    "data-search": true, value: query.get("value") ?? "",
  });
  const others = h("input", { type: "checkbox", onchange: () => feed.classList.toggle("with-others", others.checked) });
  const state = h("span", { class: "live connecting" });
  const now = h("section", { class: "card" });
  const feed = h("ol", { class: "plain trace-feed", "aria-label": "What happened", tabindex: 0 });
  const nothing = empty("Nothing has happened yet", "From now on, each event is judged here: what reached it, and what did not, and why.");
  const missed = h("p", { class: "badge warn" });
  missed.hidden = true;
  const panel = h("div", { class: "split wide-left" },
    h("section", { class: "card" }, h("div", { class: "feed-head" }, state, missed, h("label", { class: "tick" }, others, "Also what did not reach it")), nothing, feed), now);
  const invite = h("div", { class: "card" }, empty("Follow one", "Choose a socket, a user or a channel: the console shows what reaches it from then on, what does not, and why. ",
    h("a", { href: "#/connections" }, "Connections"), " and ", h("a", { href: "#/channels" }, "channels"), " have links here."));
  const form = h("form", {
    class: "card toolbar",
    onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); keep({ by: by.value, value: value.value.trim() }); begin(); },
  }, h("div", { class: "toolbar-row" }, choice.element, by, value, h("button", { class: "button primary", type: "submit" }, "Follow")));
  const ofCluster = h("p", { class: "banner note" });
  ofCluster.hidden = true;
  fill(root, ofCluster, form, invite);
  get(path(["nodes"]), signal).then(({ this: own, cluster }) => {
    ofCluster.hidden = !own.cluster;
    const nodes = cluster.length > 1 ? ` of ${cluster.length} nodes` : "";
    say(ofCluster, `This node is one of a cluster${nodes}: only what is published through this node, and who is connected to it, is seen here. The others have consoles of their own.`);
  }).catch(() => null);

  const begin = () => {
    const wanted = value.value.trim();
    if (wanted === "" || app === "") return;
    following.abort();
    following = new AbortController();
    fill(feed);
    nothing.hidden = false;
    let left = 0;
    missed.hidden = true;
    if (!panel.isConnected) invite.replaceWith(panel);
    const subject = new Subject(app, by.value, wanted, following.signal, now);
    /** @param {Line} line @param {Verdict} verdict */
    const show = (line, verdict) => {
      nothing.hidden = true;
      feed.prepend(entry(line, verdict));
      while (feed.children.length > KEPT) feed.lastElementChild?.remove();
    };
    const filter = by.value === "channel" ? { app, channel: wanted } : { app };
    watch(filter, following.signal, (lines, leftOut) => {
      left += leftOut;
      missed.hidden = left === 0;
      say(missed, `${plural(left, "line")} left out: more passed than a stream shows, so something may be missing here`);
      for (const line of lines) {
        const verdict = subject.judge(line);
        if (verdict !== null) show(line, verdict);
      }
    }, (what, why) => {
      state.className = `live ${what}`;
      say(state, what === "live" ? "Following" : what === "lost" ? `${why} Trying again…` : "Connecting…");
    });
    subject.look();
  };
  choice.ready.then((id) => { app = id ?? ""; begin(); }).catch((error) => { if (!signal.aborted) fill(invite, h("p", { class: "problem" }, reason(error))); });
}

/** What is followed, and what is known of it. */
class Subject {
  /** @type {Map<string, Set<string>>} the channels of each of its sockets */ sockets = new Map();
  /** @type {number | null} of a channel */ subscribers = null;
  /** How often lines have changed what is known. */ moves = 0;

  /**
   * @param {string} app
   * @param {string} by
   * @param {string} value
   * @param {AbortSignal} signal
   * @param {HTMLElement} card
   */
  constructor(app, by, value, signal, card) {
    this.app = app;
    this.by = by;
    this.value = value;
    this.signal = signal;
    this.card = card;
    if (by === "socket") this.sockets.set(value, new Set());
  }

  look() {
    fill(this.card, h("h2", {}, "Now"), h("div", { class: "skeleton" }));
    let first = true;
    regularly(5000, this.signal, async () => {
      try {
        if (this.by === "channel") await this.lookAtChannel();
        else {
          if (this.by === "user" && first) await this.findUser();
          await this.lookAtSockets();
        }
        first = false;
      } catch (error) {
        if (!this.signal.aborted) fill(this.card, h("h2", {}, "Now"), h("p", {}, reason(error)));
      }
    });
  }

  /**
   * What the API says, where no line has come meanwhile: those may be newer than an answer, which would undo them. Of one that moves
   * all the time it is what was said last, until the next look.
   * @param {string[]} segments of the path
   */
  async ask(segments) {
    for (let tries = 0; ; tries += 1) {
      const before = this.moves;
      const answer = await get(path(segments), this.signal);
      if (before === this.moves || tries === AGAIN) return answer;
    }
  }

  async lookAtChannel() {
    const channel = await this.ask(["apps", this.app, "channels", this.value]);
    this.subscribers = channel.subscribers;
    fill(this.card, h("h2", {}, "Now"), h("p", {}, channel.subscribers > 0 ? `${plural(channel.subscribers, "connection")} subscribed.`
      : "Nobody is subscribed: whatever is published now reaches no one."),
    channel.has_event !== undefined && h("p", {}, channel.has_event ? "An event is kept for those who come." : "No event is kept."));
  }

  /** The API has no list of a user's connections: those of this node are looked through. */
  async findUser() {
    /** @type {string | null} */ let after = null;
    for (let parts = 0; parts < PARTS; parts += 1) {
      const part = await get(path(["apps", this.app, "connections"], { limit: 1000, after }), this.signal);
      for (const connection of part.connections) if (connection.user_id === this.value) this.follow(connection.socket_id);
      after = part.next;
      if (after === null) return;
    }
  }

  /** @param {string} socket */
  follow(socket) {
    const known = this.sockets.get(socket) ?? new Set();
    this.sockets.set(socket, known);
    return known;
  }

  async lookAtSockets() {
    const cards = [];
    for (const socket of [...this.sockets.keys()].slice(0, 20)) {
      try {
        const it = /** @type {Connection} */ (await this.ask(["apps", this.app, "connections", socket]));
        const channels = it.channels ?? [];
        this.sockets.set(socket, new Set(channels.map((channel) => channel.name)));
        cards.push(h("div", { class: "now" },
          h("h3", { class: "mono" }, h("a", { href: `#/connections/${encodeURIComponent(this.app)}/${encodeURIComponent(socket)}` }, visible(socket))),
          h("p", { class: "muted" }, "connected ", when(it.connected_at), it.user_id === null ? ", not signed in" : `, as ${visible(it.user_id)}`),
          it.waiting_bytes > 0 && h("p", { class: "badge warn" }, `${size(it.waiting_bytes)} wait: the client takes its events slowly`),
          channels.length === 0 ? h("p", {}, "Subscribed to nothing: no event reaches it.")
            : h("ul", { class: "plain" }, ...channels.slice(0, 50).map((channel) => h("li", { class: "mono" },
              h("a", { href: `#/channels/${encodeURIComponent(this.app)}/${encodeURIComponent(channel.name)}` }, visible(channel.name))))),
          channels.length > 50 && h("p", { class: "muted" }, `and ${channels.length - 50} more`)));
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 404) throw error;
        if (this.by === "user") this.sockets.delete(socket);
        else cards.push(h("p", {}, "It is not connected to this node: nothing reaches it here. Other nodes of a cluster have consoles of their own."));
      }
    }
    if (cards.length === 0) cards.push(h("p", {}, "The user has no connection to this node that is known of. Whoever signs in, or subscribes to a presence channel under the id, is found from now on."));
    fill(this.card, h("h2", {}, "Now"), ...cards);
  }

  /**
   * What a line means for it; null: nothing.
   * @param {Line} line
   * @returns {Verdict | null}
   */
  judge(line) {
    return this.by === "channel" ? this.judgeOfChannel(line) : this.judgeOfSockets(line);
  }

  /** @param {Line} line @returns {Verdict | null} */
  judgeOfChannel(line) {
    if (line.channel !== this.value) return null;
    const publisher = line.address === undefined ? "somebody" : `a publisher at ${line.address}`;
    const who = visible(line.user_id ?? line.socket_id ?? publisher);
    switch (line.type) {
      case "subscribe":
        this.moves += 1;
        this.subscribers = (this.subscribers ?? 0) + 1;
        return { tone: "good", verdict: "subscribed", why: `${who} gets its events from now on` };
      case "unsubscribe":
        this.moves += 1;
        this.subscribers = Math.max(0, (this.subscribers ?? 1) - 1);
        return { tone: "quiet", verdict: "left", why: `${who} gets its events no longer` };
      case "error": return { tone: "bad", verdict: "refused", why: `${who}: ${visible(line.message ?? "")}${line.code === undefined ? "" : ` (${line.code})`}` };
      case "publish": case "client_event": {
        const count = this.subscribers;
        const except = line.socket_id === undefined ? "" : line.type === "publish" ? `, but not to ${visible(line.socket_id)}, which the publisher left out` : `, but not to ${visible(line.socket_id)}, which sent it`;
        if (count === 0) return { tone: "warn", verdict: "reached nobody", why: "nobody was subscribed" };
        return { tone: "good", verdict: "sent", why: `${count === null ? "to its subscribers" : `to ${plural(count, "subscriber")}`}${except}` };
      }
      default: return null;
    }
  }

  /** @param {Line} line @returns {Verdict | null} */
  judgeOfSockets(line) {
    const { socket_id: socket, channel } = line;
    if (this.by === "user" && line.user_id === this.value && socket !== undefined && line.type !== "publish") this.follow(socket);
    const isOurs = socket !== undefined && this.sockets.has(socket);
    if (line.type === "publish" || line.type === "client_event") return this.judgeEvent(line, isOurs);
    if (line.type === "error" && socket === undefined && this.listening(channel ?? "").length > 0) return { tone: "bad", verdict: "was not published", why: refusal(line) };
    if (!isOurs || socket === undefined) return null;
    switch (line.type) {
      case "sign_in": return { tone: "good", verdict: "signed in", why: `as ${visible(line.user_id)}, with ${visible(socket)}` };
      case "connect": return { tone: "good", verdict: "connected", why: visible(line.address === undefined ? "" : `from ${line.address}`) };
      case "disconnect":
        this.moves += 1;
        if (this.by === "user") this.sockets.delete(socket); else this.sockets.set(socket, new Set());
        return { tone: line.code === 1000 || line.code === 1001 ? "quiet" : "bad", verdict: `closed, ${line.code ?? "no code"}`, why: codeMeans(line.code) };
      case "subscribe":
        this.moves += 1;
        this.follow(socket).add(channel ?? "");
        return { tone: "good", verdict: "subscribed", why: `gets the events of ${visible(channel)} from now on` };
      case "unsubscribe":
        this.moves += 1;
        this.follow(socket).delete(channel ?? "");
        return { tone: "quiet", verdict: "left", why: `gets the events of ${visible(channel)} no longer` };
      case "error": return { tone: "bad", verdict: "refused", why: `${visible(line.message ?? "")}${line.code === undefined ? "" : ` (${line.code})`}` };
      default: return null;
    }
  }

  /** Its sockets that are subscribed. @param {string} channel */
  listening(channel) {
    return [...this.sockets].filter(([, channels]) => channels.has(channel)).map(([socket]) => socket);
  }

  /** @param {Line} line @param {boolean} isOurs @returns {Verdict} */
  judgeEvent(line, isOurs) {
    const channel = line.channel ?? "";
    const listening = this.listening(channel);
    const reached = listening.filter((socket) => socket !== line.socket_id);
    if (line.type === "client_event" && isOurs) return { tone: "good", verdict: "sent by it", why: `to the other subscribers of ${visible(channel)}` };
    if (channel === `#server-to-user-${this.value}` && this.by === "user") return { tone: "good", verdict: "reached it", why: "it was sent to the user" };
    if (reached.length > 0) return { tone: "good", verdict: "reached it", why: `subscribed to ${visible(channel)}${reached.length > 1 ? `, with ${reached.length} connections` : ""}` };
    if (listening.length > 0) return { tone: "warn", verdict: "left out", why: "the publisher named its socket_id, as senders do who have it already" };
    if (this.sockets.size === 0) return { tone: "other", verdict: "did not reach it", why: "not connected to this node" };
    return { tone: "other", verdict: "did not reach it", why: `not subscribed to ${visible(channel)}` };
  }
}

/** Why a publish was refused. @param {Line} line */
function refusal(line) {
  const from = line.address === undefined ? "" : `, from ${line.address}`;
  return visible(`${line.message ?? ""} (${line.code ?? "no status"}${from})`);
}

/** @param {Line} line @param {Verdict} verdict */
function entry(line, verdict) {
  const kind = kindOf(line);
  const text = h("span", { class: "entry-text" }, h("b", { class: `verdict ${verdict.tone}` }, verdict.verdict),
    line.event !== undefined && h("span", { class: "mono" }, visible(line.event)), line.channel !== undefined && h("span", { class: "muted" }, `on ${visible(line.channel)}`),
    h("span", {}, verdict.why));
  const time = h("time", { class: "mono muted" }, clock(line.time));
  const mark = h("span", { class: `mark ${kind.tone}` }, kind.name);
  if (line.data === undefined) return h("li", { class: `entry ${verdict.tone}` }, h("div", { class: "entry-line" }, time, mark, text));
  return h("li", { class: `entry ${verdict.tone}` }, h("details", {}, h("summary", { class: "entry-line" }, time, mark, text), h("pre", {}, pretty(line.data))));
}
