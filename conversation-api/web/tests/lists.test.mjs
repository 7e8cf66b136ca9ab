// How what is fetched and what is heard come together, whichever comes first.
import assert from "node:assert/strict";
import { test } from "node:test";

import { channelsFor } from "../src/live/channels.js";
import { coalesce } from "../src/desk/coalesce.js";
import * as conversations from "../src/desk/conversations.js";
import * as departments from "../src/desk/departments.js";
import * as messages from "../src/desk/messages.js";

const message = (id, more = {}) => ({
  id, conversation_id: 1, direction: "inbound", content: `message ${id}`, sender: null,
  created_at: `2026-01-01T00:00:${String(id).padStart(2, "0")}.000Z`, ...more,
});
const conversation = (id, last, more = {}) => ({
  id, contact: { id, name: `Customer ${id}` }, department: { id: 1, name: "Sales" }, assignee: null, unread_count: 0,
  last_message: last, last_message_at: last.created_at, ...more,
});
const ids = (list) => list.map(({ id }) => id);
const page = (data, next_before = null) => ({ data, meta: { next_before } });
const listed = (data, last_page = 1) => ({ data, meta: { last_page } });

test("a message is there once, in its place, with all that is known of it", () => {
  const list = messages.withMessages([message(1), message(3, { status: "pending" })], [message(2), message(3, { contact: "c" })]);
  assert.deepEqual(ids(list), [1, 2, 3]);
  assert.deepEqual([list[2].status, list[2].contact], ["pending", "c"]);
});

test("a page that reaches what is known joins it", () => {
  const thread = { ...messages.EMPTY_THREAD, messages: [message(1), message(2)], before: 1, fetchedTo: 2 };
  const now = messages.caughtUpWith(thread, page([message(2), message(3)], 2));
  assert.deepEqual([ids(now.messages), now.before, now.fetchedTo], [[1, 2, 3], 1, 3]);
});

test("a page that does not reach what is known replaces it, but not what was heard meanwhile", () => {
  const thread = { ...messages.EMPTY_THREAD, messages: [message(1), message(2), message(9)], before: null, fetchedTo: 2 };
  const now = messages.caughtUpWith(thread, page([message(7), message(8)], 7));
  assert.deepEqual([ids(now.messages), now.before, now.fetchedTo], [[7, 8, 9], 7, 8]);
});

test("an answer that an event has overtaken takes nothing back", () => {
  const before = conversation(1, message(1), { unread_count: 1 });
  const heard = conversations.withMessage([before], message(2, { contact: { id: 1, name: "New name" } }));
  const stale = { ...before, assignee: { id: 5, name: "Amir" } };
  const [now] = conversations.caughtUpWith(heard, listed([stale]));
  assert.deepEqual([now.contact.name, now.last_message.id, now.unread_count], ["New name", 2, 2]);
  assert.equal(now.assignee.name, "Amir");
});

test("an event that comes again, or late, changes nothing in the list", () => {
  const list = [conversation(1, message(5), { unread_count: 1 })];
  assert.equal(conversations.withMessage(list, message(5)), list);
  assert.equal(conversations.withMessage(list, message(4)), list);
});

test("only what customers write is unread", () => {
  const list = [conversation(1, message(1))];
  assert.equal(conversations.withMessage(list, message(2))[0].unread_count, 1);
  assert.equal(conversations.withMessage(list, message(2, { direction: "outbound" }))[0].unread_count, 0);
});

test("a new message brings its conversation to the top", () => {
  const list = [conversation(2, message(2)), conversation(1, message(1))];
  assert.deepEqual(ids(conversations.withMessage(list, message(3))), [1, 2]);
});

test("what the first page no longer holds is gone, and what lies beyond it stays", () => {
  const [newest, middle, oldest] = [conversation(3, message(3)), conversation(2, message(2)), conversation(1, message(1))];
  const known = [newest, middle, oldest];
  assert.deepEqual(ids(conversations.caughtUpWith(known, listed([newest, oldest]))), [3, 1]);
  assert.deepEqual(ids(conversations.caughtUpWith(known, listed([newest, middle], 2))), [3, 2, 1]);
});

test("everybody watches their department, and those of none all that they know", () => {
  const list = [conversation(1, message(1)), conversation(2, message(2), { department: { id: 2, name: "Support" } })];
  const watched = (department_id, known = []) => ids(departments.departmentsOf({ department_id }, known, list));
  assert.deepEqual(watched(2), [2]);
  assert.deepEqual(watched(7), [7]);
  assert.deepEqual(watched(null), [1, 2]);
  assert.deepEqual(watched(null, [{ id: 9, name: "Known before" }]), [1, 2, 9]);
});

test("channels are those of the departments, of the open conversation and of what no department brings", () => {
  const open = conversation(1, message(1));
  const brought = conversation(2, message(2));
  const foreign = conversation(3, message(3), { department: { id: 2, name: "Support" } });
  const orphan = conversation(4, message(4), { department: null });
  const wanted = channelsFor({
    departments: [{ id: 1, name: "Sales" }], conversations: [open, brought, foreign, orphan], openId: 1,
  });
  assert.deepEqual([...wanted].sort(), ["conversation.1", "conversation.3", "conversation.4", "department.1"]);
});

test("work that is asked for while it is under way is done once more, and never twice at once", async () => {
  let running = 0;
  let runs = 0;
  const release = [];
  const ask = coalesce(async () => {
    running += 1;
    runs += 1;
    assert.equal(running, 1);
    await new Promise((resolve) => release.push(resolve));
    running -= 1;
  });
  const first = ask();
  ask();
  ask();
  release[0]();
  while (release.length < 2) await Promise.resolve();
  release[1]();
  await first;
  assert.equal(runs, 2);
});
