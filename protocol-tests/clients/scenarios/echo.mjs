// Laravel Echo, used as Laravel's documentation says. Each scenario runs under Node and in a page.
import { equal, ok } from "../lib/check.mjs";
import { connected, fence, receivesUserEvents, subscribed } from "../lib/subscriptions.mjs";
import { Inbox, eventually, inbox } from "../lib/wait.mjs";

/** An inbox of what one of Echo's methods calls back with: `heard(channel, "listen", "OrderShipped")`. */
function heard(channel, method, ...parameters) {
  const calls = new Inbox(`${method}(${parameters}) on ${channel.name}`);
  channel[method](...parameters, (value) => calls.push(value));
  return calls;
}

/** Waits until the server has confirmed all subscriptions of these Echo channels. */
async function ready(...channels) {
  for (const channel of channels) await subscribed(channel.subscription);
}

async function public_channel(world) {
  const name = world.unique("orders-");
  const echo = world.echo("ann");
  const channel = echo.channel(name);
  const inNamespace = heard(channel, "listen", "OrderShipped");
  const literal = heard(channel, "listen", ".order.shipped");
  await ready(channel);
  await world.backend.trigger(name, "App\\Events\\OrderShipped", { order: 1 });
  await world.backend.trigger(name, "order.shipped", { order: 2 });
  equal(await inNamespace.next(), { order: 1 }, "an event of the app's namespace");
  equal(await literal.next(), { order: 2 }, "an event with a name of its own");
  equal([inNamespace.pending, literal.pending], [[], []], "what else came");
  echo.leave(name);
  await eventually("the channel to be vacant", async () => !(await world.backend.channel(name)).occupied);
}

async function private_channel(world) {
  const name = world.unique("orders-");
  const channel = world.echo("ann").private(name);
  const shipped = heard(channel, "listen", "OrderShipped");
  await ready(channel);
  await world.backend.trigger(`private-${name}`, "App\\Events\\OrderShipped", { order: 1 });
  equal(await shipped.next(), { order: 1 }, "an event");
}

async function refused_channel(world) {
  const echo = world.echo("ann");
  const errors = heard(echo.private(world.unique("wrongly-signed-")), "error");
  equal((await errors.next()).status, 401, "the status");
  await ready(echo.private(world.unique("rightly-signed-")));
}

async function notification(world) {
  const name = world.unique("App.Models.User.");
  const channel = world.echo("ann").private(name);
  const notices = heard(channel, "notification");
  await ready(channel);
  const notice = { id: "5e8c", type: "App\\Notifications\\InvoicePaid", invoice: 9 };
  await world.backend.trigger(`private-${name}`, "Illuminate\\Notifications\\Events\\BroadcastNotificationCreated", notice);
  equal(await notices.next(), notice, "the notification");
}

async function encrypted_channel(world) {
  const name = world.unique("orders-");
  const channel = world.echo("ann").encryptedPrivate(name);
  const shipped = heard(channel, "listen", "OrderShipped");
  await ready(channel);
  await world.backend.trigger(`private-encrypted-${name}`, "App\\Events\\OrderShipped", { order: 1 });
  equal(await shipped.next(), { order: 1 }, "the decrypted event");
}

async function presence_channel(world) {
  const name = world.unique("room.");
  const ann = world.echo("ann").join(name);
  const [here, joining, leaving] = ["here", "joining", "leaving"].map((method) => heard(ann, method));
  equal(await here.next(), [{ name: "User ann" }], "who was here first");

  const echo = world.echo("bob");
  const bob = echo.join(name);
  const hereForBob = (await heard(bob, "here").next()).map((info) => info.name);
  equal(hereForBob.sort(), ["User ann", "User bob"], "who was here for the second");
  equal(await joining.next(), { name: "User bob" }, "who joined");
  echo.leave(name);
  equal(await leaving.next(), { name: "User bob" }, "who left");
  await fence(world, `presence-${name}`, [ann.subscription]);
  equal([here, joining, leaving].map((calls) => calls.pending), [[], [], []], "what else was called");
}

async function whispers(world) {
  for (const method of ["private", "join"]) {
    const name = world.unique("chat.");
    const [ann, bob] = ["ann", "bob"].map((user) => world.echo(user)[method](name));
    const [atAnn, atBob] = [ann, bob].map((channel) => heard(channel, "listenForWhisper", "typing"));
    await ready(ann, bob);
    ann.whisper("typing", { name: "ann" });
    equal(await atBob.next(), { name: "ann" }, "the whisper");
    await fence(world, ann.name, [ann.subscription, bob.subscription]);
    equal([atAnn.pending, atBob.pending], [[], []], "what the sender had, and what came twice");
  }
}

async function to_others(world) {
  const name = world.unique("orders-");
  const echo = world.echo("ann");
  const [ann, bob] = [echo.private(name), world.echo("bob").private(name)];
  const [atAnn, atBob] = [ann, bob].map((channel) => heard(channel, "listen", "OrderShipped"));
  await ready(ann, bob);
  const response = await fetch(`${world.appUrl}/orders`, {
    method: "POST",
    headers: { Authorization: "Bearer ann", "X-Socket-ID": echo.socketId() },
    body: new URLSearchParams({ channel: ann.name, order: 3 }),
  });
  ok(response.ok, `the application answered ${response.status}`);
  equal(await atBob.next(), { order: 3 }, "what the other had");
  await fence(world, ann.name, [ann.subscription, bob.subscription]);
  equal(atAnn.pending, [], "what the sender had");
}

async function sign_in(world) {
  const echo = world.echo("ann");
  const { pusher } = echo.connector;
  echo.connector.signin();
  await receivesUserEvents(pusher);
  const notices = inbox(pusher.user, "notice");
  await world.backend.sendToUser("ann", "notice", { text: "hello" });
  equal(await notices.next(), { text: "hello" }, "an event for the user");
}

async function pusher_broadcaster(world) {
  const name = world.unique("orders-");
  const channel = world.echo("ann", { broadcaster: "pusher", cluster: "mt1" }).channel(name);
  const shipped = heard(channel, "listen", "OrderShipped");
  await ready(channel);
  await world.backend.trigger(name, "App\\Events\\OrderShipped", { order: 1 });
  equal(await shipped.next(), { order: 1 }, "an event");
}

async function reconnect(world) {
  const echo = world.echo("ann");
  const { connection } = echo.connector.pusher;
  await connected(echo.connector.pusher);
  const before = echo.socketId();
  const name = world.unique("orders-");
  const channels = [echo.channel(name), echo.private(name), echo.encryptedPrivate(name), echo.join(name)];
  await ready(...channels);
  const again = channels.map((channel) => heard(channel, "subscribed"));
  const events = channels.map((channel) => heard(channel, "listen", "OrderShipped"));
  const here = heard(channels[3], "here");

  await world.restartServer();
  for (const calls of again) await calls.next();
  equal(connection.state, "connected", "the connection");
  ok(echo.socketId() !== before, "the socket id is a new one");
  equal(await here.next(), [{ name: "User ann" }], "who is here again");
  for (const [index, channel] of channels.entries()) {
    await world.backend.trigger(channel.name, "App\\Events\\OrderShipped", { index });
    equal(await events[index].next(), { index }, `an event on ${channel.name}`);
  }
}

export const scenarios = {
  public_channel,
  private_channel,
  refused_channel,
  notification,
  encrypted_channel,
  presence_channel,
  whispers,
  to_others,
  sign_in,
  pusher_broadcaster,
};

/** Scenarios that need a server that does more than the default. */
export const special = { reconnect };
