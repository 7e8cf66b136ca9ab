// Messages on their way: in order, each of them once, whatever happens to answers.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { createAsking } from "../src/desk/asking.js";
import { createOutbox } from "../src/desk/outbox.js";
import { EMPTY } from "../src/desk/state.js";
import { ApiError } from "../src/http.js";
import { createStore } from "../src/store.js";

const AMIR = { id: 5 };

beforeEach(() => {
  globalThis.localStorage = Object.create({
    getItem(key) { return this[key] ?? null; },
    setItem(key, value) { this[key] = String(value); },
    removeItem(key) { delete this[key]; },
  });
});

/** A backend that answers when the test says so. */
function desk() {
  const requests = [];
  const sent = [];
  const store = createStore({ ...EMPTY, user: AMIR });
  const api = { send: (body) => new Promise((resolve, reject) => requests.push({ body, resolve, reject })) };
  const asking = createAsking(store);
  const outbox = createOutbox({ store, api, asking, sent: (message) => sent.push(message), refused: () => {} });
  const states = (id = 1) => (store.get().outgoing[id] ?? []).map(({ content, state }) => `${content} ${state}`);
  return { requests, sent, store, asking, outbox, states };
}
const text = (content) => ({ type: "text", content });
const settled = () => new Promise((resolve) => setImmediate(resolve));
const outage = () => new ApiError(0, "The server cannot be reached.");

test("messages of a conversation go one after the other, those of others at once", async () => {
  const { requests, outbox, states, sent } = desk();
  outbox.send(1, text("first"));
  outbox.send(1, text("second"));
  outbox.send(2, text("elsewhere"));
  assert.deepEqual(requests.map(({ body }) => body.content), ["first", "elsewhere"]);
  assert.deepEqual(states(), ["first sending", "second waiting"]);
  requests[0].resolve({ id: 1 });
  await settled();
  assert.deepEqual(requests.map(({ body }) => body.content), ["first", "elsewhere", "second"]);
  assert.deepEqual(sent, [{ id: 1 }]);
});

test("a message that failed holds those after it, until it is sent or given up", async () => {
  const { requests, outbox, states, store } = desk();
  outbox.send(1, text("first"));
  outbox.send(1, text("second"));
  outbox.send(1, text("third"));
  requests[0].reject(outage());
  await settled();
  assert.deepEqual(states(), ["first failed", "second waiting", "third waiting"]);
  assert.equal(requests.length, 1);
  outbox.retry(1, store.get().outgoing[1][0].client_id);
  requests[1].resolve({ id: 1 });
  await settled();
  assert.deepEqual(states(), ["second sending", "third waiting"]);
  requests[2].reject(new ApiError(422, "Too long."));
  await settled();
  outbox.remove(1, store.get().outgoing[1][0].client_id);
  assert.deepEqual(states(), ["third sending"]);
});

test("trying again is the same message, by its id", async () => {
  const { requests, outbox, store } = desk();
  outbox.send(1, text("once"));
  requests[0].reject(outage());
  await settled();
  outbox.retry(1, store.get().outgoing[1][0].client_id);
  assert.match(requests[0].body.client_id, /^[A-Za-z0-9_-]{1,64}$/);
  assert.equal(requests[0].body.client_id, requests[1].body.client_id);
});

test("a message whose answer was lost is sent when it is received", async () => {
  const { requests, outbox, states } = desk();
  outbox.send(1, text("once"));
  outbox.send(1, text("next"));
  const { client_id } = requests[0].body;
  requests[0].reject(outage());
  await settled();
  outbox.arrived({ conversation_id: 1, client_id });
  assert.deepEqual(states(), ["next sending"]);
});

test("what was not sent when the log-in ended is offered to the same user again, under the same id", async () => {
  const before = desk();
  before.outbox.send(1, text("kept"));
  before.outbox.send(1, text("behind it"));
  before.asking.stop();
  before.requests[0].reject(new ApiError(401, "Unauthenticated."));
  await settled();
  const other = desk();
  other.outbox.restore({ id: 6 });
  assert.deepEqual(other.states(), []);
  const after = desk();
  after.outbox.restore(AMIR);
  assert.deepEqual(after.states(), ["kept failed", "behind it waiting"]);
  after.outbox.retry(1, after.store.get().outgoing[1][0].client_id);
  assert.equal(after.requests[0].body.client_id, before.requests[0].body.client_id);
  after.requests[0].resolve({ id: 1 });
  await settled();
  after.requests[1].resolve({ id: 2 });
  await settled();
  assert.equal(Object.keys(localStorage).length, 0, "nothing is kept of what was sent");
});
