// Sessions that outlive their sockets, of unmodified libraries: `wsPath: '/s/' + crypto.randomUUID()` is all that a page
// needs. These scenarios drive pages from outside.
import { serverLibrary } from "../app/backend.mjs";
import { equal, ok } from "../lib/check.mjs";
import { openRoad } from "../lib/road.mjs";
import { eventually, pause } from "../lib/wait.mjs";

/** By pusher-js: before 8.2 it makes no more WebSockets when two have broken that were open for less than four minutes. */
const CUTS = { "pusher-js-7": 1, "pusher-js-8": 3 };
/** Milliseconds between cuts, and from one event to the next. */
const CALM_MS = 4000;
const EVENT_MS = 50;

/**
 * Opens connection and channels in a page, and writes down what comes. `port` is where it finds the server, `transport`
 * what carries the connection.
 */
async function open({ page }, { kind, user, port, channels, hasToken = true, transport = "ws" }) {
  await page.evaluate(async ([how, as, wsPort, names, isNamed, carrier]) => {
    const name = `/s/${crypto.randomUUID()}`;
    const paths = isNamed ? { wsPath: name, httpPath: `${name}/pusher` } : {};
    // As soon as the server, which the scenarios ask to be quick.
    const enabledTransports = carrier === "any" ? ["ws", "xhr_streaming", "xhr_polling"] : [carrier];
    const options = { wsPort, httpPort: wsPort, enabledTransports, pongTimeout: 2000, ...paths };
    const record = window.record = { received: {}, gaps: 0, states: [], statuses: [], ids: [], members: [] };
    const echo = how === "echo" ? window.world.echo(as, options) : null;
    const pusher = window.pusher = echo ? echo.connector.pusher : window.world.pusher(as, options);
    pusher.connection.bind("state_change", ({ current }) => record.states.push(current));
    pusher.connection.bind("connected", () => {
      record.ids.push(pusher.connection.socket_id);
      record.carrier = pusher.connection.connection.transport.name;
    });
    echo?.connector.onConnectionChange?.((status) => record.statuses.push(status));
    for (const name of names) {
      const received = record.received[name] = [];
      const take = ({ number }) => received.push(number);
      const [prefix] = /^(?:private-|presence-|)/.exec(name);
      if (echo) {
        const rest = name.slice(prefix.length);
        const method = { "": "channel", "private-": "private", "presence-": "join" }[prefix];
        echo[method](rest).listen(".numbered", take).listen(".fanfare:gap", () => { record.gaps += 1; });
      } else {
        const channel = pusher.subscribe(name);
        channel.bind("numbered", take);
        channel.bind("fanfare:gap", () => { record.gaps += 1; });
        for (const event of ["pusher:member_added", "pusher:member_removed"]) {
          channel.bind(event, ({ id }) => record.members.push(`${event} ${id}`));
        }
      }
    }
    window.isReady = () => names.every((name) => pusher.channel(name)?.subscribed);
  }, [kind, user, port, channels, hasToken, transport]);
  await eventually(`the channels of ${user}`, () => page.evaluate(() => window.isReady()));
}

const record = ({ page }) => page.evaluate(() => window.record);

async function members(library, channel) {
  const { users } = await (await library.get({ path: `/channels/${channel}/users` })).json();
  return users.map(({ id }) => id).sort();
}

/** Closes pages on a presence channel with a goodbye: a browser that ends at once may not get to that. */
async function leave(library, channel, tabs) {
  for (const { page } of tabs) await page.evaluate(() => window.pusher.disconnect());
  await eventually("everybody to be gone", async () => (await members(library, channel)).length === 0);
  for (const tab of tabs) await tab.close();
}

/** Breaks the connections of pages again and again while events are published. `end` does it. */
async function missNothing({ openPage, unique, settings }, how) {
  const { end: breakAll, kinds, cuts = CUTS[settings.pusher], transport = "ws" } = how;
  const road = await openRoad(settings);
  const library = serverLibrary(settings);
  const channels = ["orders-", "private-orders-", "presence-orders-"].map(unique);
  const observer = await openPage();
  const tabs = [];
  while (tabs.length < kinds.length) tabs.push(await openPage({ port: road.port }));
  for (const [index, tab] of tabs.entries()) {
    await open(tab, { kind: kinds[index], user: `user-${index}`, port: road.port, channels, transport });
  }
  await open(observer, { kind: "pusher", user: "observer", port: settings.port, channels, hasToken: false });

  let count = 0;
  const publish = async () => {
    const batch = channels.map((channel) => ({ channel, name: "numbered", data: { number: count } }));
    count += 1;
    await library.triggerBatch(batch);
  };
  for (let cut = 0; cut <= cuts; cut += 1) {
    const end = Date.now() + CALM_MS;
    while (Date.now() < end) {
      await publish();
      await pause(EVENT_MS);
    }
    if (cut === cuts) break;
    const broken = breakAll(road);
    if (transport === "ws") equal(broken, tabs.length, "how many connections were broken");
    await eventually("all to be connected anew", async () => {
      const connected = await Promise.all(tabs.map(async (tab) => (await record(tab)).ids.length));
      return connected.every((times) => times >= cut + 2);
    });
  }
  await eventually("everybody to be back", async () => {
    const ready = await Promise.all(tabs.map(({ page }) => page.evaluate(() => window.isReady())));
    return ready.every(Boolean);
  });
  await publish();

  for (const [index, tab] of tabs.entries()) {
    const who = `${kinds[index]} ${index}`;
    const has = async () => {
      const { received } = await record(tab);
      return channels.every((channel) => received[channel].includes(count - 1));
    };
    await eventually(`the last events of ${who}`, has);
    const { received, gaps, states, statuses, ids, carrier } = await record(tab);
    let repeated = 0;
    for (const channel of channels) {
      const first = [...new Set(received[channel])];
      const missing = Array.from({ length: count }, (_, number) => number).filter((number) => !first.includes(number));
      equal(missing, [], `what ${who} lacks of ${channel}`);
      ok(first.every((number, position) => number === position), `the order of ${who} on ${channel}: ${first}`);
      repeated += received[channel].length - count;
    }
    console.log(`${who}: ${count} events on each channel, ${repeated} came twice`);
    equal(gaps, 0, `gaps of ${who}`);
    ok(transport === "any" ? /^xhr_/.test(carrier) : carrier === transport, `${who} is carried by ${carrier}`);
    equal(new Set(ids).size, 1, `how many socket ids ${who} had: ${ids}`);
    ok(!states.some((state) => ["unavailable", "failed"].includes(state)), `the states of ${who}: ${states}`);
    ok(!statuses.includes("failed"), `what Echo showed to ${who}: ${statuses}`);
  }
  equal((await record(observer)).members, [], "members that came or went");
  // Requests say no goodbye.
  if (transport === "ws") await leave(library, channels[2], [...tabs, observer]);
  else for (const tab of [...tabs, observer]) await tab.close();
  road.close();
}

const pages_that_are_cut_off_miss_nothing = (world) =>
  missNothing(world, { end: (road) => road.reset(), kinds: ["pusher", "echo", "echo"] });

/** Neither side is notified that the connection is gone: a tunnel, or a NAT that has forgotten it. */
const pages_whose_network_is_gone_without_a_word_miss_nothing = (world) =>
  missNothing(world, { end: (road) => road.hold(), kinds: ["pusher", "echo"] });

/** With pusher-js 7: the newer has no such limit. */
const pages_go_on_over_requests_when_two_websockets_have_broken = (world) =>
  missNothing(world, { end: (road) => road.reset(), kinds: ["pusher", "echo"], cuts: 2, transport: "any" });

/** So that a request which is made again at once fails, too. */
const AWAY_MS = 500;

/** Once: pusher-js makes no more streams when two of them have broken. */
const pages_over_streams_that_are_cut_off_miss_nothing = (world) =>
  missNothing(world, { end: (road) => road.closeFor(AWAY_MS), kinds: ["pusher", "echo"], cuts: 1, transport: "xhr_streaming" });

const pages_over_polls_that_are_cut_off_miss_nothing = (world) =>
  missNothing(world, { end: (road) => road.closeFor(AWAY_MS), kinds: ["pusher", "echo"], transport: "xhr_polling" });

/** A page that is loaded anew says goodbye, and makes a new token. */
async function page_that_is_reloaded_gets_nothing_old({ openPage, unique, settings }) {
  const library = serverLibrary(settings);
  const channel = unique("presence-orders-");
  const tab = await openPage();
  await open(tab, { kind: "echo", user: "ann", port: settings.port, channels: [channel] });
  await library.trigger(channel, "numbered", { number: 0 });
  await eventually("the first event", async () => (await record(tab)).received[channel].length > 0);
  const [id] = (await record(tab)).ids;
  await tab.page.reload();
  await eventually("the page of before to be gone", async () => (await members(library, channel)).length === 0);
  await library.trigger(channel, "numbered", { number: 1 });
  await tab.load();
  await open(tab, { kind: "echo", user: "ann", port: settings.port, channels: [channel] });
  await library.trigger(channel, "numbered", { number: 2 });
  await eventually("an event", async () => (await record(tab)).received[channel].length > 0);
  const { received, gaps, ids } = await record(tab);
  equal(received[channel], [2], "what came to the page that was loaded anew");
  equal(gaps, 0, "gaps");
  ok(ids[0] !== id, "the session is another one");
  await leave(library, channel, [tab]);
}

/** disconnect() is a goodbye. */
async function page_that_disconnects_is_gone({ openPage, unique, settings }) {
  const library = serverLibrary(settings);
  const channel = unique("presence-orders-");
  const tab = await openPage();
  await open(tab, { kind: "pusher", user: "ann", port: settings.port, channels: [channel] });
  await tab.page.evaluate(() => window.pusher.disconnect());
  await eventually("the page to be gone", async () => (await members(library, channel)).length === 0);
  await tab.close();
}

/** A page that was left for another one lies in the back/forward cache, and its window ends. */
async function page_in_the_back_forward_cache_is_gone_after_its_window({ openPage, unique, settings }) {
  const library = serverLibrary(settings);
  const channel = unique("presence-room-");
  const tab = await openPage();
  await open(tab, { kind: "pusher", user: "ann", port: settings.port, channels: [channel] });
  await tab.page.goto(`${tab.url}/browser/page.html?another`);
  await eventually("the page that was left to be no member", async () => (await members(library, channel)).length === 0);
  await tab.page.goBack({ waitUntil: "commit" });
  await eventually("the page to be a member again", async () => (await members(library, channel)).join() === "ann");
  await leave(library, channel, [tab]);
}

export const scenarios = {};
export const special = {
  pages_that_are_cut_off_miss_nothing,
  pages_whose_network_is_gone_without_a_word_miss_nothing,
  pages_go_on_over_requests_when_two_websockets_have_broken,
  pages_over_streams_that_are_cut_off_miss_nothing,
  pages_over_polls_that_are_cut_off_miss_nothing,
  page_that_is_reloaded_gets_nothing_old,
  page_that_disconnects_is_gone,
  page_in_the_back_forward_cache_is_gone_after_its_window,
};
