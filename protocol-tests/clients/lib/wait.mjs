// Waiting for what must come, under Node and in a page.

/**
 * How long anything may take. Long enough for a busy machine and for pusher-js, which after a failed attempt to connect
 * waits 15 seconds, and after the next 30. Only a failing scenario ever waits for it.
 */
export const PATIENCE_MS = 60_000;

export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Asks `probe` again and again until it answers with something truthy, and returns that. */
export async function eventually(what, probe) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms in vain for ${what}`);
    await pause(5);
  }
}

/** What came and was not yet taken, in order. */
export class Inbox {
  #what;
  #items = [];

  constructor(what) {
    this.#what = what;
  }

  push(item) {
    this.#items.push(item);
  }

  /** The oldest item, which may have yet to come. */
  async next() {
    await eventually(this.#what, () => this.#items.length > 0);
    return this.#items.shift();
  }

  /** What has come and not been taken. */
  get pending() {
    return [...this.#items];
  }
}

/** An inbox of the data of one event of a channel, a connection or anything else that has `bind`. */
export function inbox(emitter, event) {
  const events = new Inbox(`the event ${event}${emitter.name ? ` on ${emitter.name}` : ""}`);
  emitter.bind(event, (data) => events.push(data));
  return events;
}
