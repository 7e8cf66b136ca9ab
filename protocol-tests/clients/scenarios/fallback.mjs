// pusher-js over requests: what only shows when much comes, or for long.
import { equal, ok } from "../lib/check.mjs";
import { fence, receivesUserEvents, signIn, subscribe, subscribed } from "../lib/subscriptions.mjs";
import { Inbox, eventually, inbox, pause } from "../lib/wait.mjs";

/** How many events a page is sent: for 50 seconds, and for ten where others are sent as many. */
const MANY = 10_000;
const SOME = 2000;
const BATCH = 10;
const PADDING = "naïve ☕ 𝄞 \"quoted\" ".repeat(25);

async function steady_events(world) {
  await sendSteadily(world, MANY);
}

async function some_steady_events(world) {
  await sendSteadily(world, SOME);
}

/** Events at 200 a second: enough for a stream to be renewed several times. */
async function sendSteadily(world, count) {
  const { pusher } = clientOf(world, "ann");
  const name = world.unique("steady-");
  const channel = await subscribe(pusher, name);
  equal(pusher.connection.connection.transport.name, world.settings.transport, "the transport");
  const received = [];
  channel.bind("number", ({ number, padding }) => received.push(padding === PADDING ? number : "damaged"));
  const changes = inbox(pusher.connection, "state_change");
  const start = Date.now();
  for (let first = 0; first < count; first += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, index) =>
      ({ channel: name, name: "number", data: { number: first + index, padding: PADDING } }));
    await world.backend.triggerBatch(batch);
    await pause(start + ((first + BATCH) * 1000) / 200 - Date.now());
  }
  await eventually("all events", () => received.length >= count);
  await fence(world, name, [channel]);
  ok(received.every((number, index) => number === index), `order: ${received.slice(0, 100)}`);
  equal(received.length, count, "how many events came");
  equal(changes.pending, [], "what became of the connection meanwhile");
}

/** What channels of every kind are called, and how Echo joins them. */
const KINDS = {
  "": "channel",
  "private-": "private",
  "private-encrypted-": "encryptedPrivate",
  "presence-": "join",
  "cache-": "channel",
  "private-cache-": "private",
  "private-encrypted-cache-": "encryptedPrivate",
  "presence-cache-": "join",
};
const OF_CLIENT_EVENTS = ["private-", "presence-"];

/** A client of a user: Echo's where the page has Echo. */
function clientOf(world, user) {
  if (!world.Echo) return { user, pusher: world.pusher(user) };
  const echo = world.echo(user);
  return { user, echo, pusher: echo.connector.pusher };
}

/** Joins a channel of each kind, as the library does it; by kind, what comes there, and what sends to the others. */
async function joinAll({ echo, pusher }, name) {
  const joined = Object.entries(KINDS).map(([kind, method]) => {
    if (!echo) {
      const channel = pusher.subscribe(`${kind}${name}`);
      const [shipped, typing] = ["shipped", "client-typing"].map((event) => inbox(channel, event));
      return [kind, { channel, shipped, typing, type: (data) => channel.trigger("client-typing", data) }];
    }
    const channel = echo[method](`${/(cache-)?$/.exec(kind)[0]}${name}`);
    const [shipped, typing] = ["shipped", "typing"].map((event) => new Inbox(`${event} on ${channel.name}`));
    channel.listen(".shipped", (data) => shipped.push(data));
    channel.listenForWhisper("typing", (data) => typing.push(data));
    return [kind, { channel: channel.subscription, shipped, typing, type: (data) => channel.whisper("typing", data) }];
  });
  for (const [, { channel }] of joined) await subscribed(channel);
  return Object.fromEntries(joined);
}

/** Pages with nothing in them but the defaults, behind a proxy that knows no WebSocket. */
async function websockets_do_not_get_through(world) {
  const clients = ["ann", "bob"].map((user) => clientOf(world, user));
  const [ann, bob] = clients;
  const name = world.unique("orders-");
  ann.joined = await joinAll(ann, name);
  const added = inbox(ann.joined["presence-"].channel, "pusher:member_added");
  const cached = Object.keys(KINDS).filter((kind) => kind.endsWith("cache-"));
  for (const kind of cached) {
    await world.backend.trigger(`${kind}${name}`, "shipped", { kind });
    equal(await ann.joined[kind].shipped.next(), { kind }, `an event on ${kind}`);
  }
  bob.joined = await joinAll(bob, name);
  for (const kind of cached) equal(await bob.joined[kind].shipped.next(), { kind }, `what ${kind} kept`);
  equal(await added.next(), { id: "bob", info: { name: "User bob" } }, "who was added");
  for (const client of clients) {
    await signIn(client.pusher);
    client.notices = inbox(client.pusher.user, "notice");
  }
  await reachesAll(world, name, clients, "at first");

  const again = clients.flatMap(({ joined }) => Object.values(joined)).map(({ channel }) =>
    inbox(channel, "pusher:subscription_succeeded"));
  await world.restartServer();
  for (const box of again) await box.next();
  for (const { pusher } of clients) await receivesUserEvents(pusher);
  await reachesAll(world, name, clients, "after a restart");
}

/** Whether both clients, over requests, are reached in every way that there is: once, and by nothing else. */
async function reachesAll({ backend }, name, clients, what) {
  const [ann, bob] = clients;
  for (const kind of Object.keys(KINDS)) {
    await backend.trigger(`${kind}${name}`, "shipped", { what, kind });
    for (const { user, joined } of clients) {
      equal(await joined[kind].shipped.next(), { what, kind }, `an event on ${kind} for ${user}`);
    }
  }
  for (const kind of OF_CLIENT_EVENTS) {
    ann.joined[kind].type({ what, kind });
    equal(await bob.joined[kind].typing.next(), { what, kind }, `a client event on ${kind}`);
  }
  for (const { user, pusher, joined, notices } of clients) {
    await backend.sendToUser(user, "notice", { what, user });
    equal(await notices.next(), { what, user }, `an event for ${user}`);
    const { members } = joined["presence-"].channel;
    equal(members.me, { id: user, info: { name: `User ${user}` } }, "me, on the presence channel");
    equal(Object.keys(members.members).sort(), ["ann", "bob"], "the members");
    const transport = pusher.connection.connection.transport.name;
    ok(/^xhr_/.test(transport), `the transport of ${user} is ${transport}`);
  }
  const left = clients.flatMap(({ notices, joined }) =>
    [notices, ...Object.values(joined).flatMap(({ shipped, typing }) => [shipped, typing])]);
  equal(left.flatMap((box) => box.pending), [], "what else came");
}

/**
 * What pusher-js is refused, it asks for again: to go on with a session, which it replaces after a second, and to open
 * one, for which it waits 15 seconds.
 */
async function refused_for_a_while(world) {
  let refusals = [];
  const { open } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    const status = /\/xhr(_streaming)?\?/.test(url) && refusals.shift();
    return open.call(this, method, status ? `${world.appUrl}/refused?status=${status}` : url, ...rest);
  };
  try {
    refusals = [503];
    const pusher = world.pusher("ann");
    const name = world.unique("orders-");
    const channel = await subscribe(pusher, name);
    equal(refusals, [], "the refusals that nobody met");

    const again = inbox(channel, "pusher:subscription_succeeded");
    refusals = [429];
    // After so much a page gives a stream up for the next one.
    const padding = "x".repeat(9000);
    for (let count = 0; count < 40; count += 1) await world.backend.trigger(name, "padding", padding);
    await again.next();
    equal(refusals, [], "the refusals that nobody met");
    const shipped = inbox(channel, "shipped");
    await world.backend.trigger(name, "shipped", { order: 1 });
    equal(await shipped.next(), { order: 1 }, "an event");
  } finally {
    XMLHttpRequest.prototype.open = open;
  }
}

export const scenarios = { steady_events, some_steady_events };
export const special = { websockets_do_not_get_through, refused_for_a_while };
