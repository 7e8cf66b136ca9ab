// What the scenarios of pusher-js and of Echo have in common: both end in pusher-js channels and connections.
import { eventually, inbox } from "./wait.mjs";

/** Subscribes and waits until the server has confirmed it. */
export async function subscribe(pusher, name) {
  const channel = pusher.subscribe(name);
  await subscribed(channel);
  return channel;
}

/** Waits until the server has confirmed a subscription; fails when it refuses it. */
export async function subscribed(channel) {
  const refusals = inbox(channel, "pusher:subscription_error");
  await eventually(`the subscription of ${channel.name}`, () => {
    const [refusal] = refusals.pending;
    if (refusal) throw new Error(`${channel.name} was refused: ${JSON.stringify(refusal)}`);
    return channel.subscribed;
  });
}

/** Signs in and waits until the user's own events can arrive. */
export async function signIn(pusher) {
  pusher.signin();
  await receivesUserEvents(pusher);
}

/** Waits until the connection is subscribed to the events of its signed-in user. */
export async function receivesUserEvents(pusher) {
  await eventually("the sign-in", () => pusher.user.serverToUserChannel?.subscribed);
}

export async function connected(pusher) {
  await eventually("the connection", () => pusher.connection.state === "connected");
}

/**
 * Publishes on a channel and waits until all of `channels`, the same channel of several clients, have the event: what
 * was published before has then arrived, or never will.
 */
export async function fence(world, name, channels) {
  const event = world.unique("fence-");
  const fences = channels.map((channel) => inbox(channel, event));
  await world.backend.trigger(name, event, {});
  for (const passed of fences) await passed.next();
}

/** The close or error code in what a connection's `error` event carries. */
export function errorCode(error) {
  return error?.data?.code ?? error?.error?.data?.code;
}
