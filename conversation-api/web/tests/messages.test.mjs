// Messages reach those who may listen to them, at once and once, and nobody else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answer, closeAll, departmentHash, hashOf, listShows, messages, row, sees, shows, timesHeard } from "./lib/page.mjs";
import { CUSTOMERS, webhook } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";

const { grace, alan, barbara, edsger } = CUSTOMERS;
/** How long a message may take to all pages, on a machine that is busy. */
const SOON_MS = 5000;
let world;
before(async () => { world = await startWorld(); });
after(() => world?.close());

/** Lets somebody hear of a message that is theirs: whatever was sent to them before has come by then. */
async function hearsOwn(inbox, customer, text) {
  await world.write(customer, text);
  await listShows(inbox, customer, text);
}

test("a customer's message is at once where it belongs, and nowhere else", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const colleague = await world.open(USERS.agent2, { hash: departmentHash(1) });
  const supervisor = await world.open(USERS.supervisor, { hash: departmentHash(1) });
  const admin = await world.open(USERS.admin);
  const stranger = await world.open(USERS.agent3);
  const otherManager = await world.open(USERS.manager2, { hash: departmentHash(2) });

  // The best of three: other work on the machine must not fail the test.
  const took = [];
  do {
    const text = `Is it still there, number ${took.length}?`;
    const start = performance.now();
    await world.write(grace, text);
    await Promise.all([
      sees(agent, text),
      sees(colleague, text),
      sees(supervisor, text),
      listShows(supervisor, grace, text),
      listShows(admin, grace, text),
    ]);
    took.push(performance.now() - start);
  } while (Math.min(...took) >= SOON_MS && took.length < 3);
  assert.ok(Math.min(...took) < SOON_MS, `it took ${took} ms`);

  // The colleague hears of it in the department, and may not open it.
  assert.equal(await row(colleague, grace).count(), 0);
  const entry = colleague.page.locator(".entry", { hasText: "number 0" });
  await entry.filter({ hasText: "Amir Agent has it" }).waitFor();
  assert.equal(await entry.getByRole("link").count(), 0);

  await hearsOwn(stranger, edsger, "This one is for department 2");
  await listShows(otherManager, edsger, "This one is for department 2");
  for (const inbox of [stranger, otherManager]) {
    assert.equal(timesHeard(inbox, "still there"), 0, "it was not even sent to them");
    assert.ok(!(await shows(inbox, "still there")));
  }
  await closeAll(agent, colleague, supervisor, admin, stranger, otherManager);
});

test("an answer is shown to the others, and not twice to who wrote it", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const supervisor = await world.open(USERS.supervisor, { hash: hashOf(grace) });
  const manager = await world.open(USERS.manager, { hash: departmentHash(1) });
  await answer(agent, "Two are left, in blue.");
  await Promise.all([agent, supervisor, manager].map((inbox) => sees(inbox, "Two are left, in blue.")));
  await listShows(agent, grace, "You: Two are left, in blue.");
  await listShows(supervisor, grace, "Amir: Two are left, in blue.");

  await world.write(grace, "I take both.");
  await Promise.all([agent, supervisor, manager].map((inbox) => sees(inbox, "I take both.")));
  await sees(agent, "Two are left, in blue.");
  assert.equal(timesHeard(agent, "Two are left"), 0, "the relay leaves the sender's connection out");
  assert.ok(timesHeard(supervisor, "Two are left") > 0);
  await closeAll(agent, supervisor, manager);
});

test("a second page of the same agent shows the answer, too", async () => {
  const first = await world.open(USERS.agent, { hash: hashOf(grace) });
  const second = await world.open(USERS.agent, { hash: hashOf(grace) });
  await answer(first, "Written in the first page.");
  await sees(second, "Written in the first page.");
  await sees(first, "Written in the first page.");
  await closeAll(first, second);
});

test("a supervisor watches the department", async () => {
  const supervisor = await world.open(USERS.supervisor, { hash: departmentHash(1) });
  await world.write(barbara, "And two wheels?");
  await world.write(alan, "And to Bremen?");
  await sees(supervisor, "And two wheels?");
  await sees(supervisor, "And to Bremen?");
  await messages(supervisor, "And to Bremen?").getByRole("link", { name: "Open" }).click();
  await supervisor.page.getByRole("heading", { name: "Alan Kay", level: 2 }).first().waitFor();
  await sees(supervisor, "And to Bremen?");
  await closeAll(supervisor);
});

test("without rights there is a 403, and no event", async () => {
  const stranger = await world.open(USERS.agent3);
  const refused = await stranger.page.evaluate(async () => {
    const statusOf = (kind, name) =>
      new Promise((resolve) => {
        const channel = window.Echo[kind](name);
        channel.error(({ status }) => resolve(status)).subscribed(() => resolve("subscribed"));
        channel.listen(".message.received", () => { document.title = "overheard"; });
      });
    return [
      await statusOf("private", "conversation.1"),
      await statusOf("join", "conversation.1"),
      await statusOf("private", "department.1"),
      await statusOf("private", "user.1"),
      await statusOf("private", "conversation.404"),
    ];
  });
  assert.deepEqual(refused, [403, 403, 403, 403, 403]);
  const auth = await world.call(USERS.agent3, "POST", "/broadcasting/auth", {
    socket_id: "1.1", channel_name: "private-conversation.1",
  });
  assert.equal(auth.status, 403);

  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  await world.write(grace, "Nobody else hears this.");
  await sees(agent, "Nobody else hears this.");
  await hearsOwn(stranger, edsger, "But this.");
  assert.equal(timesHeard(stranger, "Nobody else"), 0);
  assert.notEqual(await stranger.page.title(), "overheard");

  // A link to it leads nowhere.
  await stranger.page.goto(`${world.inboxUrl}${hashOf(grace)}`);
  await stranger.page.getByRole("heading", { name: "Not yours to see" }).waitFor();
  await closeAll(agent, stranger);
});

test("a webhook that is delivered again changes nothing", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const body = webhook(grace, "Once is enough.");
  await Promise.all([world.deliver(body), world.deliver(body), world.deliver(body)]);
  await sees(agent, "Once is enough.");
  await hearsOwn(agent, grace, "The next one.");
  await sees(agent, "Once is enough.");
  await closeAll(agent);
});

test("an event that comes again is not shown again", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  // A channel of the conversation is asked for once the conversation is here.
  await agent.page.waitForFunction(() => ["conversation.1", "department.1"]
    .every((name) => window.Echo.connector.pusher.channel(`private-${name}`)?.subscribed));
  await world.write(grace, "On two channels.");
  await sees(agent, "On two channels.");
  await hearsOwn(agent, grace, "After it.");
  assert.equal(timesHeard(agent, "On two channels."), 2, "it comes on the conversation's channel and the department's");
  await sees(agent, "On two channels.");
  await closeAll(agent);
});

test("whatever customers write is text", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const text = `<img src=x onerror="document.title='run'"><script>document.title='run'</script>`;
  const name = `Grace <i>Hopper</i>`;
  await world.write({ ...grace, name }, text);
  await sees(agent, text);
  await row(agent, grace).filter({ hasText: name }).waitFor();
  assert.equal(await agent.page.locator(".message img, .row i").count(), 0);
  assert.notEqual(await agent.page.title(), "run");
  await world.write(grace, "That was my son.");
  await sees(agent, "That was my son.");
  await closeAll(agent);
});

test("somebody who writes for the first time is in the list at once", async () => {
  const supervisor = await world.open(USERS.supervisor);
  await world.write({ phone: "491701999999", name: "Frances Allen" }, "Do you rent out, too?");
  await supervisor.page.locator(".row.unread").filter({ hasText: "Frances Allen" }).filter({ hasText: "Do you rent" }).waitFor();
  await closeAll(supervisor);
});

test("a message that comes late is in its place and is read there, and the list does not take it for the last", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const supervisor = await world.open(USERS.supervisor);
  await answer(agent, "We close at six.");
  await listShows(supervisor, grace, "Amir: We close at six.");
  const written = String(Math.floor(Date.now() / 1000) - 300);
  await world.write(grace, { type: "text", text: { body: "When do you close?" }, timestamp: written });
  await sees(agent, "When do you close?");
  await row(supervisor, grace).locator(".badge").waitFor();
  // Live and fetched anew it is the same.
  for (const again of [async () => {}, ({ page }) => page.reload()]) {
    await again(agent);
    await again(supervisor);
    await listShows(agent, grace, "You: We close at six.");
    await listShows(supervisor, grace, "Amir: We close at six.");
    await sees(agent, "When do you close?");
    assert.match(await agent.page.locator(".messages [data-message]").last().innerText(), /We close at six/);
    await row(agent, grace).locator(".badge").waitFor({ state: "detached" });
  }
  await closeAll(agent, supervisor);
});
