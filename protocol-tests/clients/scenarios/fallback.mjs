// pusher-js over requests: what only shows when much comes, or for long.
import { equal, ok } from "../lib/check.mjs";
import { fence, subscribe } from "../lib/subscriptions.mjs";
import { eventually, inbox, pause } from "../lib/wait.mjs";

/** How long a page is sent events: 50 seconds. */
const EVENTS = 10_000;
const BATCH = 10;
const PADDING = "naïve ☕ 𝄞 \"quoted\" ".repeat(25);

/** Events at 200 a second: enough for a stream to be renewed several times. */
async function steady_events(world) {
  const count = EVENTS;
  const pusher = world.pusher("ann");
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

/** A page with nothing in it but the defaults, behind a proxy that knows no WebSocket. */
async function websockets_do_not_get_through(world) {
  const pusher = world.pusher("ann");
  const transport = () => pusher.connection.connection.transport.name;
  const names = ["orders-", "private-orders-", "presence-room-"].map((prefix) => world.unique(prefix));
  const channels = [];
  for (const name of names) channels.push(await subscribe(pusher, name));
  ok(/^xhr_/.test(transport()), `the transport is ${transport()}`);
  const events = channels.map((channel) => inbox(channel, "shipped"));
  const deliver = async (what) => {
    for (const [index, name] of names.entries()) {
      await world.backend.trigger(name, "shipped", { what, index });
      equal(await events[index].next(), { what, index }, `an event on ${name}`);
    }
    equal(channels[2].members.me, { id: "ann", info: { name: "User ann" } }, "me, on the presence channel");
  };
  await deliver("at first");

  const again = channels.map((channel) => inbox(channel, "pusher:subscription_succeeded"));
  await world.restartServer();
  for (const box of again) await box.next();
  ok(/^xhr_/.test(transport()), `the transport is ${transport()}`);
  await deliver("after a restart");
  equal(events.map((box) => box.pending), [[], [], []], "what else came");
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

export const scenarios = { steady_events };
export const special = { websockets_do_not_get_through, refused_for_a_while };
