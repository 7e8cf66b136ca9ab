// pusher-js over requests: what only shows when much comes, or for long.
import { equal, ok } from "../lib/check.mjs";
import { fence, subscribe } from "../lib/subscriptions.mjs";
import { eventually, inbox, pause } from "../lib/wait.mjs";

const BATCH = 10;
const PADDING = "naïve ☕ 𝄞 \"quoted\" ".repeat(25);

/** Events at 200 a second: enough for a stream to be renewed several times. */
async function steady_events(world) {
  const count = world.settings.events ?? 2000;
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

export const scenarios = { steady_events };
export const special = {};
