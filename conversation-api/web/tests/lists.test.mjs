// How what is fetched and what is received come together, whichever comes first.
import assert from "node:assert/strict";
import { test } from "node:test";

import { channelsFor } from "../src/live/channels.js";
import { coalesce } from "../src/desk/coalesce.js";
import * as feeds from "../src/desk/feeds.js";
import { createFetching } from "../src/desk/fetching.js";
import { FIRST_QUERY, emptyList, listed, matches, newestFirst, recount } from "../src/desk/list.js";
import * as messages from "../src/desk/messages.js";
import { permissions } from "../src/desk/permissions.js";
import { rowsOf } from "../src/view/rows.js";
import { AMIR, ANA, SALES, SOL, SUPPORT, at, conversation, description, ids, message, page, records } from "./lib/known.mjs";

// Messages

test("a message is there once, in its place, with all that is known of it", () => {
  const list = messages.withMessages([message(1), message(3, { status: "pending" })], [message(2), message(3, { contact: "c", status: "sent" })]);
  assert.deepEqual(ids(list), [1, 2, 3]);
  assert.deepEqual([list[2].status, list[2].contact], ["sent", "c"]);
});

test("messages stand where they were written, not where they arrived", () => {
  const late = message(9, { created_at: at(2) });
  assert.deepEqual(ids(messages.withMessages([message(1), message(3)], [late])), [1, 9, 3]);
  assert.equal(messages.lastArrived([message(1), late, message(3)]), 9, "read marks go by arrival");
});

test("a page that reaches what is known joins it", () => {
  const thread = { ...messages.EMPTY_THREAD, messages: [message(1), message(2)], before: 1, fetchedTo: message(2) };
  const now = messages.caughtUpWith(thread, page([message(2), message(3)], 2));
  assert.deepEqual([ids(now.messages), now.before, now.fetchedTo.id], [[1, 2, 3], 1, 3]);
});

test("a page that does not reach what is known replaces it, but not what was received meanwhile", () => {
  const thread = { ...messages.EMPTY_THREAD, messages: [message(1), message(2), message(9)], before: null, fetchedTo: message(2) };
  const now = messages.caughtUpWith(thread, page([message(7), message(8)], 7));
  assert.deepEqual([ids(now.messages), now.before, now.fetchedTo.id], [[7, 8, 9], 7, 8]);
});

test("of two states of a message the newer one holds, whichever comes first", () => {
  const ready = { state: "ready", url: "/file" };
  for (const [older, newer] of [
    [{ status: "pending" }, { status: "sent" }],
    [{ status: "sent" }, { status: "failed", error: { message: "Refused" } }],
    [{ status: "failed", error: { message: "Refused" } }, { status: "pending", error: null }],
    [{ status: null, media: { state: "pending", url: null } }, { status: null, media: ready }],
  ]) {
    const [first, second] = [message(1, { ...older, version: 4 }), message(1, { ...newer, version: 9 })];
    const expected = messages.withMessages([], [{ ...first, ...newer, version: 9 }]);
    assert.deepEqual(messages.withMessages([first], [second]), expected);
    assert.deepEqual(messages.withMessages([second], [first]), expected);
    const updateOf = ({ id, status, error, media, version }) => ({ id, status, error, media, version });
    assert.deepEqual(messages.withUpdate([first], updateOf(second)), [{ ...expected[0], error: newer.error ?? null }]);
    assert.deepEqual(messages.withUpdate([second], updateOf(first)), [second]);
  }
});

test("an event whose text was cut takes nothing back", () => {
  const whole = message(1, { content: "all of it", truncated: false });
  const [now] = messages.withMessages([whole], [message(1, { content: "all", truncated: true })]);
  assert.deepEqual([now.content, now.truncated], ["all of it", false]);
  const [later] = messages.withMessages([message(1, { content: "all", truncated: true })], [whole]);
  assert.deepEqual([later.content, later.truncated], ["all of it", false]);
  const [listed] = messages.withMessages([message(1, { content: "all", truncated: true })], [message(1, { content: "all of it" })]);
  assert.deepEqual([listed.content, listed.truncated], ["all of it", false]);
});

test("what is new begins at the first of the unread messages", () => {
  const thread = [message(1), message(9, { created_at: at(2) }), message(3, { direction: "outbound" }), message(4), message(5)];
  assert.equal(messages.firstUnread(thread, 3), 4);
  assert.equal(messages.firstUnread(thread, 5), 9);
  assert.equal(messages.firstUnread(thread, 9), null, "what is unread may be further up than what is here");
  assert.equal(messages.firstUnread(thread, 0), 1);
});

test("a reaction stands at its message, the later one for the earlier one, and alone where that is not known", () => {
  const reaction = (id, content, message_id) => message(id, { type: "reaction", content, reply_to: { message_id } });
  const rows = rowsOf([message(1), reaction(2, "👍", 1), reaction(3, "❤️", 1), reaction(4, "🎉", 99)], null);
  assert.deepEqual(ids(rows.map(({ message }) => message)), [1, 4]);
  assert.deepEqual(rows[0].reactions.map(({ emoji }) => emoji), ["❤️"]);
  const [without] = rowsOf([message(1), reaction(2, "👍", 1), reaction(3, "", 1)], null);
  assert.equal(without.reactions, undefined);
});

// Conversations

test("an answer that an event has overtaken takes nothing back", () => {
  const known = records(SOL, [conversation(1, message(1), { unread_count: 1 })]);
  assert.equal(known.records.note(message(2, { contact: { id: 1, name: "New name" } })), true);
  known.records.fetched(conversation(1, message(1), { unread_count: 1, assignee: { id: 5, name: "Amir" } }));
  const now = known.records.known(1);
  assert.deepEqual([now.contact.name, now.last_message.id, now.unread_count], ["New name", 2, 2]);
  assert.equal(now.assignee.name, "Amir");
});

test("what became of a message is known, though it comes before the message", () => {
  const first = message(1);
  const { store, records: known } = records(AMIR, [conversation(1, first, { assignee: AMIR })]);
  store.set({ thread: { id: 1, ...messages.EMPTY_THREAD, messages: [first], state: "ready" } });
  known.update({ id: 2, conversation_id: 1, status: "sent", error: null, version: 3 });
  known.note(message(2, { direction: "outbound", status: "pending", version: 2 }));
  assert.deepEqual(store.get().thread.messages.map(({ status }) => status), [null, "sent"]);
});

test("what became of the last message is in the list, and is news once", () => {
  const sent = message(1, { direction: "outbound", status: "sent", version: 2 });
  const { records: known } = records(AMIR, [conversation(1, sent, { assignee: AMIR })]);
  const last = () => [known.known(1).last_message.status, known.known(1).last_message.error?.title];
  const failed = { id: 1, conversation_id: 1, status: "failed", error: { title: "Undeliverable" }, version: 3 };
  assert.equal(known.update(failed), true);
  assert.deepEqual(last(), ["failed", "Undeliverable"]);
  assert.equal(known.update(failed), false, "it comes on two channels");
  known.fetched(conversation(1, sent, { assignee: AMIR }));
  assert.deepEqual(last(), ["failed", "Undeliverable"], "an answer that it has overtaken takes nothing back");
  assert.equal(known.update({ ...failed, status: "pending", error: null, version: 4 }), true);
  assert.deepEqual(last(), ["pending", undefined]);
  assert.equal(known.update(failed), false, "it is over");
  assert.equal(known.update({ ...failed, version: 5 }), true, "it has failed again");
  known.fetched(conversation(1, { ...sent, id: 2, version: 9 }, { assignee: AMIR }));
  assert.equal(known.update({ ...failed, id: 2, version: 7 }), false, "what is shown is newer");
});

test("whose a conversation is, the newer of an answer and an event decides", () => {
  const [ours, theirs] = [{ assignee: AMIR, version: 8 }, { assignee: { id: 6, name: "Ana" }, version: 9 }];
  const { status, contact, department } = conversation(1, message(1));
  const event = (more) => ({ id: 1, status, contact, department, window_ends_at: null, ...more });
  const known = records(AMIR, [conversation(1, message(1), ours)]);
  assert.equal(known.records.describe(event(theirs)), true);
  known.records.fetched(conversation(1, message(1), { ...ours, can: { write: true } }));
  const lost = known.records.known(1);
  assert.deepEqual([lost.assignee.name, lost.isReadable, lost.can.write, lost.version], ["Ana", false, false, 9]);

  known.records.fetched(conversation(1, message(1), { ...ours, version: 11, can: { write: true } }));
  assert.equal(known.records.describe(event(theirs)), false);
  const back = known.records.known(1);
  assert.deepEqual([back.assignee.name, back.isReadable, back.can.write, back.version], ["Amir", true, true, 11]);
});

test("a page of messages that events have overtaken takes nothing back, and brings nothing old", async () => {
  const file = (id, state, version) => message(id, { type: "document", media: { state }, version });
  const { store, records: known } = records(AMIR, [conversation(1, file(1, "pending", 1), { assignee: AMIR })]);
  store.set({ thread: { id: 1, ...messages.EMPTY_THREAD, messages: [file(1, "pending", 1)] } });
  const answers = [];
  const asked = () => new Promise((resolve) => answers.push(resolve));
  const api = { conversation: async () => known.known(1), messages: asked, message: asked };
  const asking = { answered: (answer) => answer };
  const fetching = createFetching({ store, api, asking, records: known, follow() {} });
  const states = () => store.get().thread.messages.map(({ media }) => media.state);

  const shown = fetching.fetchShown();
  known.update({ id: 1, conversation_id: 1, status: null, media: { state: "ready" }, version: 3 });
  // Of this one nothing is here yet but what became of it.
  known.update({ id: 2, conversation_id: 1, status: null, media: { state: "unavailable" }, version: 4 });
  answers.shift()(page([file(1, "pending", 1), file(2, "pending", 2)], 1));
  await shown;
  assert.deepEqual(states(), ["ready", "unavailable"]);

  const older = fetching.fetchOlder();
  known.update({ id: 0, conversation_id: 1, status: null, media: { state: "ready" }, version: 5 });
  answers.shift()(page([file(0, "pending", 0)]));
  await older;
  assert.deepEqual(states(), ["ready", "ready", "unavailable"]);

  const whole = fetching.fetchWhole(2);
  known.update({ id: 2, conversation_id: 1, status: null, media: { state: "ready" }, version: 6 });
  answers.shift()(file(2, "unavailable", 4));
  await whole;
  assert.deepEqual(states(), ["ready", "ready", "ready"]);
});

test("an answer takes nothing back that an event brought before the conversation was known", () => {
  const known = records(AMIR);
  assert.equal(known.records.describe(description(1, 2, { assignee: ANA })), true);
  known.records.fetched(conversation(1, message(1), { version: 1 }));
  const now = known.records.known(1);
  assert.deepEqual([now.assignee.name, now.version, now.isReadable, now.can.take], ["Ana", 2, false, false]);
  known.records.fetchedAll([conversation(1, message(1), { version: 1 })]);
  assert.equal(known.records.known(1).assignee.name, "Ana", "nor does a list");
  known.records.fetched(conversation(1, message(1), { version: 3 }));
  assert.deepEqual([known.records.known(1).assignee, known.records.known(1).isReadable], [null, true]);
});

test("what is only known from events does not go back either", () => {
  const known = records(AMIR);
  known.records.describe(description(1, 9, { assignee: ANA }));
  for (const late of [7, undefined]) {
    assert.equal(known.records.describe(description(1, late)), false, `version ${late}`);
    assert.equal(known.store.get().glimpses[1].assignee.name, "Ana");
  }
});

test("what happens to a conversation that is not here is counted by the backend", () => {
  const known = records(AMIR);
  known.records.describe(description(1, 2));
  known.records.describe(description(1, 3));
  assert.equal(known.miscounts(), 1);
  known.records.describe(description(1, 4, { assignee: ANA }));
  assert.deepEqual([known.miscounts(), known.records.recounts()], [2, 2]);
});

test("glimpses are bounded, and the latest is kept", () => {
  let glimpses = {};
  for (let id = 1000; id > 0; id -= 1) glimpses = feeds.withGlimpse(glimpses, description(id, 1));
  assert.equal(Object.keys(glimpses).length, 500);
  assert.ok(glimpses[1]);
});

test("what became of a conversation by what we did is not ours if somebody else has it since", () => {
  const known = records(AMIR, [conversation(1, message(1), { version: 1 })]);
  known.records.describe(description(1, 3, { assignee: ANA }));
  known.records.done(conversation(1, message(1), { assignee: AMIR, version: 2 }));
  const now = known.records.known(1);
  assert.deepEqual([now.assignee.name, now.isReadable], ["Ana", false]);
});

test("an older update does not replace a newer one that waits for its message", () => {
  const known = records(AMIR);
  known.records.update({ id: 2, conversation_id: 1, status: "read", error: null, version: 5 });
  known.records.update({ id: 2, conversation_id: 1, status: "sent", error: null, version: 4 });
  known.records.update({ id: 2, conversation_id: 1, status: "pending", error: null });
  assert.equal(known.records.upToDate(message(2, { status: "pending", version: 3 })).status, "read");
});

test("an event without a version is older than every state that has one", () => {
  const of = ({ status, version, content }) => [status, version, content];
  const [sent] = [message(1, { status: "sent", version: 4 })];
  const old = { id: 1, conversation_id: 1, status: "pending", error: null };
  assert.deepEqual(messages.withUpdate([sent], old).map(of), [of(sent)]);
  assert.deepEqual(messages.withMessages([sent], [message(1, { status: "pending" })]).map(of), [of(sent)]);
  const [first] = messages.withUpdate([message(1)], { ...old, status: "sent" });
  assert.deepEqual([first.status, "version" in first], ["sent", false]);

  const known = records(AMIR, [conversation(1, message(1), { version: 0 }), conversation(2, message(1))]);
  const { version, ...without } = description(1, 0, { assignee: ANA });
  assert.equal(known.records.describe(without), false);
  assert.equal(known.records.known(1).assignee, null);
  assert.equal(known.records.describe({ ...without, id: 2 }), true);
  assert.deepEqual([known.records.known(2).assignee.name, "version" in known.records.known(2)], ["Ana", false]);
});

test("numbers that events have changed since they were asked for are asked for again", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { store, records: known } = records(SOL, [conversation(1, message(1))]);
  const numbers = (all) => ({ mine: 0, unassigned: all, all, unread: 0 });
  const listing = (all) => ({ data: [], meta: { next_before: null, counts: numbers(all) } });
  const answers = [];
  const api = { conversations: () => new Promise((resolve) => answers.push(resolve)) };
  const fetching = createFetching({ store, api, asking: { answered: (answer) => answer }, records: known, follow() {} });
  store.set({ counts: numbers(1) });
  const listed = fetching.list({ ...FIRST_QUERY, unread: true });
  known.describe(description(1, 2, { status: "closed" }));
  assert.equal(store.get().counts.all, 0);
  answers.shift()(listing(1));
  await listed;
  context.mock.timers.tick(3000);
  assert.equal(answers.length, 1, "they are asked for again");
  answers.shift()(listing(0));
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  assert.equal(store.get().counts.all, 0);
  context.mock.timers.tick(10_000);
  assert.equal(answers.length, 0, "and not for ever");
});

test("numbers of a status that is listed no more are not shown as those of the one that is", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { store, records: known } = records(SOL);
  const listing = (all) => ({ data: [], meta: { next_before: null, counts: { mine: 0, unassigned: all, all, unread: all } } });
  const answers = [];
  const api = { conversations: ({ status }) => new Promise((resolve) => answers.push({ status, resolve })) };
  const fetching = createFetching({ store, api, asking: { answered: (answer) => answer }, records: known, follow() {} });
  fetching.countSoon();
  context.mock.timers.tick(3000);
  const listed = fetching.list({ ...FIRST_QUERY, status: "closed" });
  const [count, list] = answers.splice(0);
  assert.deepEqual([count.status, list.status], ["open", "closed"]);
  list.resolve(listing(7));
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  answers.shift().resolve(listing(1));
  await listed;
  count.resolve(listing(2));
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  assert.deepEqual([store.get().counts.all, store.get().unread], [7, 2]);
});

const moment = (minute) => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();

/** The page of a user, and a backend with conversations that nobody has, which it lists by their place. */
function listing(user, count) {
  const all = Array.from({ length: count }, (_, index) => conversation(index + 1, message(index + 1, { created_at: moment(index + 1) })));
  const { store, records: known } = records(user);
  const asked = [];
  const api = {
    asked,
    async conversations({ before, perPage, ...query }) {
      asked.push({ before, perPage });
      const found = all.filter((item) => matches(item, { ...FIRST_QUERY, ...query }, user)).sort(newestFirst);
      const [last_message_at, id] = before?.split(" ") ?? [];
      const below = before ? found.filter((item) => newestFirst({ last_message_at, id: Number(id) }, item) < 0) : found;
      const data = below.slice(0, perPage);
      const next_before = below.length > perPage ? `${data.at(-1).last_message_at} ${data.at(-1).id}` : null;
      return { data, meta: { next_before, counts: { mine: 0, unassigned: 0, all: 0, unread: 0 } } };
    },
    user: async () => user,
    departments: async () => ({ data: [] }),
    colleagues: async () => ({ data: [] }),
    templates: async () => ({ data: [] }),
  };
  const fetching = createFetching({ store, api, asking: { answered: (answer) => answer }, records: known, follow() {} });
  const shown = () => ids(listed(store.get().conversations, store.get().list, user, null)).length;
  /** Somebody takes a conversation, and the page learns of it. */
  function take(index) {
    all[index] = { ...all[index], assignee: ANA, version: 2 };
    known.describe(description(all[index].id, 2, { assignee: ANA }));
  }
  return { store, api, fetching, records: known, shown, take, all };
}

test("nothing is passed over below a list whose conversations have left it", async () => {
  const { store, fetching, shown, take } = listing(SOL, 120);
  await fetching.list({ ...FIRST_QUERY, filter: "unassigned" });
  assert.equal(shown(), 50);
  for (let index = 90; index < 120; index += 1) take(index);
  assert.equal(shown(), 20);
  await fetching.fetchMore();
  assert.equal(shown(), 70);
  await fetching.fetchMore();
  assert.equal(shown(), 90, "all that nobody has");
  assert.equal(store.get().list.next, null);
});

test("a list that is fetched anew reaches as far as it did", async () => {
  const { store, api, fetching, shown } = listing(SOL, 400);
  await fetching.list(FIRST_QUERY);
  for (let times = 0; times < 4; times += 1) await fetching.fetchMore();
  assert.equal(shown(), 250);
  api.asked.length = 0;
  await fetching.catchUp();
  assert.equal(shown(), 250);
  assert.deepEqual(api.asked.map(({ perPage }) => perPage), [100, 100, 50]);
  await fetching.fetchMore();
  assert.equal(shown(), 300);
  for (let times = 0; times < 2; times += 1) await fetching.fetchMore();
  assert.equal(shown(), 400);
  assert.equal(store.get().list.next, null);
});

test("a list that grows while it is fetched anew keeps what it has grown by", async () => {
  const { api, fetching, shown } = listing(SOL, 120);
  await fetching.list(FIRST_QUERY);
  const { conversations } = api;
  const held = Promise.withResolvers();
  api.conversations = async (query) => {
    api.conversations = conversations;
    const answer = await conversations(query);
    await held.promise;
    return answer;
  };
  const caughtUp = fetching.catchUp();
  await fetching.fetchMore();
  assert.equal(shown(), 100);
  held.resolve();
  await caughtUp;
  assert.equal(shown(), 100);
});

test("an event that comes again, or late, changes nothing in the list", () => {
  const known = records(SOL, [conversation(1, message(5), { unread_count: 1 })]);
  assert.equal(known.records.note(message(5)), false);
  assert.equal(known.records.note(message(4)), false);
  assert.equal(known.records.known(1).unread_count, 1);
});

test("a repeat of an old message opens no gap in what is shown", () => {
  const known = records(SOL, [conversation(1, message(9))]);
  known.store.set({ thread: { id: 1, ...messages.EMPTY_THREAD, messages: [message(7), message(9)], before: 7, state: "ready" } });
  known.records.note(message(2));
  assert.deepEqual(ids(known.store.get().thread.messages), [7, 9]);
  known.records.note(message(8));
  assert.deepEqual(ids(known.store.get().thread.messages), [7, 8, 9]);
});

test("only what customers write is unread, and what is read stays read", () => {
  const known = records(SOL, [conversation(1, message(1))]);
  known.records.note(message(2, { direction: "outbound" }));
  assert.equal(known.records.known(1).unread_count, 0);
  known.records.note(message(3));
  assert.equal(known.records.known(1).unread_count, 1);
  known.records.read(1, 3, 0);
  known.records.fetched(conversation(1, message(3), { unread_count: 1 }));
  assert.equal(known.records.known(1).unread_count, 0);
});

test("a customer's message that was written earlier is unread, the newest, and not the last one", () => {
  const reply = message(5, { direction: "outbound" });
  const known = records(SOL, [conversation(1, reply)]);
  const late = message(9, { created_at: at(2), content: "late" });
  assert.equal(known.records.note(late), true);
  const now = () => {
    const { unread_count, last_message, last_message_at, newest_message_id } = known.records.known(1);
    return [unread_count, last_message, last_message_at, newest_message_id];
  };
  assert.deepEqual(now(), [1, reply, reply.created_at, 9]);
  assert.equal(known.records.note(late), false, "it comes on two channels");
  known.records.fetched(conversation(1, reply, { unread_count: 1, newest_message_id: 9 }));
  assert.deepEqual(now(), [1, reply, reply.created_at, 9], "and the backend agrees");
  known.records.read(1, 9, 0);
  known.records.fetched(conversation(1, reply, { unread_count: 1, newest_message_id: 9 }));
  assert.equal(now()[0], 0);
});

test("what came late, and is further up than what is here, is read with the end of the conversation", () => {
  const { store, records: known } = records(SOL, [conversation(1, message(9), { last_read_message_id: 9 })]);
  store.set({ thread: { id: 1, ...messages.EMPTY_THREAD, messages: [message(7), message(9)], before: 7, state: "ready" } });
  assert.equal(known.unreadInThread(), null);
  known.note(message(12, { created_at: at(2) }));
  assert.deepEqual(ids(store.get().thread.messages), [7, 9]);
  assert.deepEqual(known.unreadInThread(), { id: 1, newest: 12 });
  // An answer may be of a moment whose messages are not here yet.
  known.fetched(conversation(1, message(14), { unread_count: 2 }));
  assert.deepEqual(known.unreadInThread(), { id: 1, newest: 9 });
  known.read(1, 12, 0);
  assert.equal(known.lastRead(1), 12);
});

test("a conversation that a colleague has is not open to an agent any more", () => {
  const known = records(AMIR, [conversation(1, message(1), { assignee: { id: 5, name: "Amir" } })]);
  known.records.describe({ id: 1, status: "open", contact: { id: 1, name: "c" }, department: SALES, assignee: { id: 6, name: "Ana" } });
  const now = known.records.known(1);
  assert.deepEqual([now.isReadable, now.can.write, now.assignee.name], [false, false, "Ana"]);
});

// The list

test("the list shows what the backend listed and what is newer, the newest first", () => {
  const [a, b, c, d] = [1, 2, 3, 4].map((id) => conversation(id, message(id * 10)));
  const list = { ...emptyList(FIRST_QUERY), ids: new Set([2, 3]), last: b };
  assert.deepEqual(ids(listed({ 1: a, 2: b, 3: c, 4: d }, list, SOL, null)), [4, 3, 2]);
});

test("filters are those of the backend", () => {
  const mine = conversation(1, message(1), { assignee: AMIR });
  const nobodys = conversation(2, message(2), { unread_count: 1 });
  const closed = conversation(3, message(3), { status: "closed" });
  const matching = (query) => ids([mine, nobodys, closed].filter((c) => matches(c, { ...FIRST_QUERY, ...query }, AMIR)));
  assert.deepEqual(matching({ filter: "mine" }), [1]);
  assert.deepEqual(matching({ filter: "unassigned" }), [2]);
  assert.deepEqual(matching({ status: "closed" }), [3]);
  assert.deepEqual(matching({ status: "all" }), [1, 2, 3]);
  assert.deepEqual(matching({ unread: true }), [2]);
});

test("a search is the backend's, and what is open stays in an unread list", () => {
  const list = { ...emptyList({ ...FIRST_QUERY, search: "x" }), ids: new Set([1]) };
  const all = { 1: conversation(1, message(1)), 2: conversation(2, message(2)) };
  assert.deepEqual(ids(listed(all, list, SOL, null)), [1]);
  const unread = { ...emptyList({ ...FIRST_QUERY, unread: true }), ids: new Set([1]) };
  assert.deepEqual(ids(listed(all, unread, SOL, 1)), [1]);
  assert.deepEqual(ids(listed(all, unread, SOL, null)), []);
});

test("counts follow what happens, and are fetched where they cannot", () => {
  const nobodys = conversation(1, message(1));
  const mine = { ...nobodys, assignee: AMIR, unread_count: 2 };
  const counts = { mine: 0, unassigned: 1, all: 1, unread: 0 };
  assert.deepEqual(recount(counts, nobodys, mine, AMIR, "open"), { mine: 1, unassigned: 0, all: 1, unread: 1 });
  const known = records(SOL);
  known.records.fetched(conversation(7, message(7)));
  assert.equal(known.miscounts(), 1);
});

test("what the backend lists no more is forgotten, unless it came meanwhile", () => {
  const known = records(SOL, [1, 2].map((id) => conversation(id, message(id))));
  const before = known.store.get().conversations;
  known.records.note(message(9, { conversation_id: 2 }));
  known.records.forgetUnlisted(before);
  assert.deepEqual(Object.keys(known.store.get().conversations), ["2"]);
});

// Rights, departments and channels

test("agents may take what nobody of their department has, and no more", () => {
  const can = (user, more) => permissions(user, conversation(1, message(1), more));
  assert.deepEqual(can(AMIR, {}), { write: false, take: true, assign: false, resolve: false, move: false });
  assert.deepEqual(can(AMIR, { assignee: AMIR }), { write: true, take: false, assign: false, resolve: true, move: true });
  assert.deepEqual(can(AMIR, { department: SUPPORT }), { write: false, take: false, assign: false, resolve: false, move: false });
  assert.equal(can({ ...SOL, role: "manager" }, {}).assign, true);
});

test("everybody watches their department, and those of none all of them", () => {
  const watched = (department_id) => ids(feeds.departmentsOf({ department_id }, [SALES, SUPPORT]));
  assert.deepEqual(watched(2), [2]);
  assert.deepEqual(watched(7), [7]);
  assert.deepEqual(watched(null), [1, 2]);
});

test("channels are the user's, those of the departments, of the open conversation and of what no department brings", () => {
  const open = conversation(1, message(1));
  const brought = conversation(2, message(2));
  const foreign = conversation(3, message(3), { department: SUPPORT });
  const orphan = conversation(4, message(4), { department: null });
  const wanted = channelsFor({ userId: 5, departments: [SALES], conversations: [open, brought, foreign, orphan], openId: 1 });
  assert.deepEqual([...wanted].sort(), ["conversation.1", "conversation.3", "conversation.4", "department.1", "user.5"]);
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

test("who is in another department than before listens to what is there", async () => {
  const { api, store, records: known } = listing(SOL, 1);
  const user = Promise.withResolvers();
  api.user = () => user.promise;
  const followed = [];
  const follow = () => followed.push(store.get().user.department_id);
  const fetching = createFetching({ store, api, asking: { answered: (answer) => answer }, records: known, follow });
  const caughtUp = fetching.catchUp();
  await new Promise((resolve) => { setImmediate(resolve); });
  user.resolve({ ...SOL, department_id: 2 });
  await caughtUp;
  assert.equal(followed.at(-1), 2);
});
