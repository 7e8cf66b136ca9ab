// pusher-js, used as its documentation says. Each scenario runs under Node and in a page.
import { equal, ok } from "../lib/check.mjs";
import {
  connected, errorCode, fence, receivesUserEvents, signIn, subscribe, subscribed,
} from "../lib/subscriptions.mjs";
import { Inbox, eventually, inbox, pause } from "../lib/wait.mjs";

const AWKWARD = { id: 7, text: "naïve ☕ 𝄞 \"quoted\" \\ </script> \u2028", nested: { list: [1, null, true, ""] } };

async function public_channel(world) {
  const pusher = world.pusher("ann");
  const name = world.unique("orders-");
  const channel = await subscribe(pusher, name);
  ok(/^\d+\.\d+$/.test(pusher.connection.socket_id), `a socket id: ${pusher.connection.socket_id}`);

  const shipped = inbox(channel, "shipped");
  await world.backend.trigger(name, "shipped", AWKWARD);
  equal(await shipped.next(), AWKWARD, "the data of an event");
  await world.backend.trigger(name, "shipped", "a text that is not JSON");
  equal(await shipped.next(), "a text that is not JSON", "the data of an event");

  pusher.unsubscribe(name);
  await eventually("the channel to be vacant", async () => !(await world.backend.channel(name)).occupied);
  await world.backend.trigger(name, "shipped", "too late");
  const other = world.unique("other-");
  await fence(world, other, [await subscribe(pusher, other)]);
  equal(shipped.pending, [], "what came after the unsubscription");
}

async function many_channels(world) {
  const pusher = world.pusher("ann");
  const names = Array.from({ length: 150 }, () => world.unique("many-"));
  const channels = names.map((name) => pusher.subscribe(name));
  await Promise.all(channels.map(subscribed));
  const events = channels.map((channel) => inbox(channel, "event"));
  await world.backend.trigger(names.slice(0, 100), "event", "to a hundred");
  await world.backend.trigger(names.slice(100), "event", "to the rest");
  for (const [index, box] of events.entries()) {
    equal(await box.next(), index < 100 ? "to a hundred" : "to the rest", names[index]);
  }
}

async function private_channel(world) {
  const name = world.unique("private-orders-");
  const channel = await subscribe(world.pusher("ann"), name);
  const shipped = inbox(channel, "shipped");
  await world.backend.trigger(name, "shipped", AWKWARD);
  equal(await shipped.next(), AWKWARD, "the data of an event");
}

async function wrong_signature(world) {
  const pusher = world.pusher("ann");
  const channel = pusher.subscribe(world.unique("private-wrongly-signed-"));
  const error = await inbox(channel, "pusher:subscription_error").next();
  equal([error.type, error.status], ["AuthError", 401], "type and status");
  ok(error.error, "the error says what is wrong");
  ok(!channel.subscribed, "the channel is not subscribed");
  // The connection goes on.
  await subscribe(pusher, world.unique("private-rightly-signed-"));
}

async function presence_channel(world) {
  const name = world.unique("presence-room-");
  const ann = await subscribe(world.pusher("ann"), name);
  equal(ann.members.me, { id: "ann", info: { name: "User ann" } }, "me");
  equal([ann.members.count, ann.members.members], [1, { ann: { name: "User ann" } }], "the members, for the first");
  const added = inbox(ann, "pusher:member_added");
  const removed = inbox(ann, "pusher:member_removed");

  const firstTab = world.pusher("bob");
  const bob = await subscribe(firstTab, name);
  const both = { ann: { name: "User ann" }, bob: { name: "User bob" } };
  equal([bob.members.count, bob.members.members], [2, both], "the members, for the second");
  equal(await added.next(), { id: "bob", info: { name: "User bob" } }, "who was added");
  equal(ann.members.count, 2, "the count after that");

  // A user is a member once, however many connections there are.
  const secondTab = world.pusher("bob");
  const again = await subscribe(secondTab, name);
  equal(again.members.members, both, "the members, for the second tab");
  equal(await world.backend.users(name), { users: [{ id: "ann" }, { id: "bob" }] }, "the users, for the server");
  firstTab.disconnect();
  await eventually("one connection of bob to be left", async () =>
    (await world.backend.channel(name, { info: "subscription_count" })).subscription_count === 2);
  await fence(world, name, [ann]);
  equal([added.pending, removed.pending], [[], []], "what was announced of the other tab");

  secondTab.unsubscribe(name);
  equal(await removed.next(), { id: "bob", info: { name: "User bob" } }, "who was removed");
  equal([ann.members.count, ann.members.get("bob")], [1, null], "the members after that");
  await fence(world, name, [ann]);
  equal([added.pending, removed.pending], [[], []], "what else was announced");
}

async function presence_with_numeric_user_ids(world) {
  const name = world.unique("presence-room-");
  const seven = await subscribe(world.pusher(7), name);
  equal(seven.members.me, { id: 7, info: { name: "User 7" } }, "me");
  const added = inbox(seven, "pusher:member_added");
  await subscribe(world.pusher(8), name);
  equal((await added.next()).info, { name: "User 8" }, "who was added");
  equal(Object.keys(seven.members.members), ["7", "8"], "the members");
}

async function presence_of_a_signed_in_user(world) {
  const name = world.unique("presence-signed-in-");
  const pusher = world.pusher("ann");
  await connected(pusher);
  await signIn(pusher);
  const channel = await subscribe(pusher, name);
  equal(channel.members.me, { id: "ann", info: { name: "User ann" } }, "me");
}

async function encrypted_channel(world) {
  const pusher = world.pusher("ann");
  const name = world.unique("private-encrypted-orders-");
  const channel = await subscribe(pusher, name);
  const shipped = inbox(channel, "shipped");
  const raw = inbox(pusher.connection, "message");
  await world.backend.trigger(name, "shipped", AWKWARD);
  equal(await shipped.next(), AWKWARD, "the decrypted data");
  const sent = raw.pending.find((message) => message.channel === name);
  equal(Object.keys(sent.data).sort(), ["ciphertext", "nonce"], "what went over the wire");
}

async function client_events(world) {
  for (const kind of ["private-", "presence-"]) {
    const name = world.unique(`${kind}chat-`);
    const ann = await subscribe(world.pusher("ann"), name);
    const bob = await subscribe(world.pusher("bob"), name);
    const [atAnn, atBob] = [ann, bob].map((channel) => {
      const calls = new Inbox(`client-typing on ${name}`);
      channel.bind("client-typing", (data, metadata) => calls.push({ data, metadata }));
      return calls;
    });
    ann.trigger("client-typing", AWKWARD);
    const metadata = kind === "presence-" ? { user_id: "ann" } : {};
    equal(await atBob.next(), { data: AWKWARD, metadata }, "the client event");
    await fence(world, name, [ann, bob]);
    equal([atAnn.pending, atBob.pending], [[], []], "what the sender had, and what came twice");
  }
}

/** Events that a browser, which offers compression, is sent compressed. */
async function large_events(world) {
  const name = world.unique("private-large-");
  const ann = await subscribe(world.pusher("ann"), name);
  const bob = await subscribe(world.pusher("bob"), name);
  const [atAnn, atBob] = [ann, bob].map((channel) => inbox(channel, "large"));
  const typing = inbox(bob, "client-large");
  for (let lines = 1; lines <= 64; lines *= 2) {
    const data = { ...AWKWARD, lines: Array.from({ length: lines }, (_, line) => `${line}: naïve ☕ 𝄞 "quoted"`) };
    await world.backend.trigger(name, "large", data);
    equal(await atAnn.next(), data, `an event of ${lines} lines, at Ann`);
    equal(await atBob.next(), data, `an event of ${lines} lines, at Bob`);
    ann.trigger("client-large", data);
    equal(await typing.next(), data, `a client event of ${lines} lines`);
  }
}

async function rejected_client_event(world) {
  const name = world.unique("public-chat-");
  const pusher = world.pusher("ann");
  const ann = await subscribe(pusher, name);
  const bob = await subscribe(world.pusher("bob"), name);
  const errors = inbox(pusher.connection, "error");
  const typing = inbox(bob, "client-typing");
  ann.trigger("client-typing", {});
  equal(errorCode(await errors.next()), 4301, "the error's code");
  await fence(world, name, [ann, bob]);
  equal(typing.pending, [], "what the others had");
  equal(pusher.connection.state, "connected", "the connection");
}

async function excluded_sender(world) {
  const name = world.unique("orders-");
  const pusher = world.pusher("ann");
  const ann = await subscribe(pusher, name);
  const bob = await subscribe(world.pusher("bob"), name);
  const [atAnn, atBob] = [inbox(ann, "shipped"), inbox(bob, "shipped")];
  await world.backend.trigger(name, "shipped", { order: 1 }, { socket_id: pusher.connection.socket_id });
  equal(await atBob.next(), { order: 1 }, "what the other had");
  await fence(world, name, [ann, bob]);
  equal(atAnn.pending, [], "what the sender had");
}

async function cache_channels(world) {
  for (const kind of ["cache-", "private-cache-", "presence-cache-", "private-encrypted-cache-"]) {
    const name = world.unique(`${kind}price-`);
    const [ann, bob] = ["ann", "bob"].map((user) => world.pusher(user));
    const first = ann.subscribe(name);
    const misses = inbox(first, "pusher:cache_miss");
    await subscribed(first);
    await misses.next();
    const live = inbox(first, "price");
    for (const price of [1, 2]) await world.backend.trigger(name, "price", { price });
    equal([await live.next(), await live.next()], [{ price: 1 }, { price: 2 }], `the events on ${name}`);

    const second = bob.subscribe(name);
    const seen = new Inbox(`the cached event on ${name}`);
    second.bind_global((event, data) => seen.push(event === "price" ? data : event));
    equal(await seen.next(), "pusher:subscription_succeeded", `the first event on ${name}`);
    equal(await seen.next(), { price: 2 }, `the cached event on ${name}`);
    await fence(world, name, [first, second]);
    equal([live.pending, misses.pending], [[], []], `what else the first had on ${name}`);
    // Over requests, each client takes up one of the six connections that a browser makes.
    for (const pusher of [ann, bob]) pusher.disconnect();
  }
}

async function server_to_user(world) {
  const ann = world.pusher("ann");
  const bob = world.pusher("bob");
  for (const pusher of [ann, bob]) await signIn(pusher);
  equal(ann.user.user_data, { id: "ann", user_info: { name: "User ann" } }, "the signed-in user");
  const [toAnn, toBob] = [inbox(ann.user, "notice"), inbox(bob.user, "notice")];
  await world.backend.sendToUser("ann", "notice", AWKWARD);
  await world.backend.sendToUser("bob", "notice", "for bob");
  equal(await toAnn.next(), AWKWARD, "what ann had");
  equal(await toBob.next(), "for bob", "what bob had");
  equal([toAnn.pending, toBob.pending], [[], []], "what else came");
}

async function terminated_user(world) {
  const [first, second, bob, anonymous] = ["ann", "ann", "bob", "cid"].map((user) => world.pusher(user));
  for (const pusher of [first, second, bob]) await signIn(pusher);
  await connected(anonymous);
  const errors = [first, second].map((pusher) => inbox(pusher.connection, "error"));
  await world.backend.terminateUserConnections("ann");
  for (const box of errors) equal(errorCode(await box.next()), 4009, "the close code");
  await stopsForGood([first, second]);
  const name = world.unique("others-");
  await fence(world, name, await Promise.all([bob, anonymous].map((pusher) => subscribe(pusher, name))));
}

async function unknown_key(world) {
  const pusher = world.pusher("ann", { key: "no-such-key" });
  const errors = inbox(pusher.connection, "error");
  const error = await errors.next();
  equal(errorCode(error), 4001, "the code");
  ok(error.error.data.message, "the error says what is wrong");
  await stopsForGood([pusher]);
}

/** pusher-js would come back after a second, had it been told to. */
async function stopsForGood(clients) {
  for (const { connection } of clients) {
    await eventually("the client to stop", () => connection.state === "disconnected");
  }
  const changes = clients.map(({ connection }) => inbox(connection, "state_change"));
  await pause(1500);
  for (const box of changes) equal(box.pending, [], "what the client did after it had stopped");
}

async function heartbeat(world) {
  const pusher = world.pusher("ann", { activityTimeout: 100 });
  await connected(pusher);
  const changes = inbox(pusher.connection, "state_change");
  const pongs = new Inbox("a pusher:pong");
  pusher.connection.bind("message", ({ event }) => event === "pusher:pong" && pongs.push(event));
  for (let count = 0; count < 3; count += 1) await pongs.next();
  equal(changes.pending, [], "what became of the connection meanwhile");
}

async function reconnect(world) {
  const pusher = world.pusher("ann");
  const names = ["orders-", "private-orders-", "presence-room-", "private-encrypted-orders-"].map((prefix) =>
    world.unique(prefix));
  const channels = [];
  for (const name of names) channels.push(await subscribe(pusher, name));
  await signIn(pusher);
  const before = pusher.connection.socket_id;
  const again = channels.map((channel) => inbox(channel, "pusher:subscription_succeeded"));
  const events = channels.map((channel) => inbox(channel, "shipped"));
  const notices = inbox(pusher.user, "notice");

  await world.restartServer();
  for (const box of again) await box.next();
  equal(pusher.connection.state, "connected", "the connection");
  ok(pusher.connection.socket_id !== before, "the socket id is a new one");
  equal(channels[2].members.me, { id: "ann", info: { name: "User ann" } }, "me, on the presence channel");
  for (const [index, name] of names.entries()) {
    await world.backend.trigger(name, "shipped", { index });
    equal(await events[index].next(), { index }, `an event on ${name}`);
  }
  await receivesUserEvents(pusher);
  await world.backend.sendToUser("ann", "notice", "welcome back");
  equal(await notices.next(), "welcome back", "an event for the user");
}

async function subscription_count(world) {
  for (const kind of ["", "private-"]) {
    const name = world.unique(`${kind}counted-`);
    const first = world.pusher("ann").subscribe(name);
    const counts = inbox(first, "pusher:subscription_count");
    equal(await counts.next(), { subscription_count: 1 }, "the count with the first");
    const other = world.pusher("bob");
    await subscribe(other, name);
    equal(await counts.next(), { subscription_count: 2 }, "the count with the second");
    other.disconnect();
    equal(await counts.next(), { subscription_count: 1 }, "the count without the second");
  }
}

async function watchlist(world) {
  const [bob, cid] = ["bob-", "cid-"].map((prefix) => world.unique(prefix));
  const first = world.pusher(bob);
  await signIn(first);
  const ann = world.watcher("ann", [bob, cid]);
  const [online, offline] = ["online", "offline"].map((status) => inbox(ann.user.watchlist, status));
  await signIn(ann);
  equal(await online.next(), { name: "online", user_ids: [bob] }, "who is online at first");
  equal(await offline.next(), { name: "offline", user_ids: [cid] }, "who is not");

  let page = world.pusher(cid);
  await signIn(page);
  equal(await online.next(), { name: "online", user_ids: [cid] }, "who came");
  // A page that is loaded again, and a second tab that is closed, change nothing.
  page.disconnect();
  page = world.pusher(cid);
  await signIn(page);
  const secondTab = world.pusher(bob);
  await signIn(secondTab);
  first.disconnect();
  page.disconnect();
  equal(await offline.next(), { name: "offline", user_ids: [cid] }, "who went");
  secondTab.disconnect();
  equal(await offline.next(), { name: "offline", user_ids: [bob] }, "who went last");
  equal([online.pending, offline.pending], [[], []], "what else came");
}

export const scenarios = {
  public_channel,
  many_channels,
  private_channel,
  wrong_signature,
  presence_channel,
  presence_with_numeric_user_ids,
  presence_of_a_signed_in_user,
  encrypted_channel,
  client_events,
  large_events,
  rejected_client_event,
  excluded_sender,
  cache_channels,
  server_to_user,
  terminated_user,
  unknown_key,
  heartbeat,
};

/** Scenarios of how a WebSocket is kept. */
export const ofWebSockets = { heartbeat };

/** Scenarios that need a server that does more than the default. */
export const special = { reconnect, subscription_count, watchlist };
