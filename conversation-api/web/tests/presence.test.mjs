// Who else is looking at a conversation, and who is typing there.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answer, closeAll, hashOf, sees } from "./lib/page.mjs";
import { CUSTOMERS } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";

const { grace, alan } = CUSTOMERS;
let world;
before(async () => { world = await startWorld(); });
after(() => world?.close());

const people = ({ page }) => page.getByRole("complementary", { name: "Details" }).getByRole("listitem");

test("who looks at a conversation sees who else does", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  await people(agent).filter({ hasText: "Amir Agent (you)" }).waitFor();
  assert.equal(await people(agent).count(), 1);

  const supervisor = await world.open(USERS.supervisor, { hash: hashOf(grace) });
  await people(agent).filter({ hasText: "Sol Supervisor" }).waitFor();
  await people(supervisor).filter({ hasText: "Amir Agent" }).waitFor();
  await agent.page.getByText("Also here: Sol Supervisor").waitFor({ state: "attached" });

  // The supervisor turns to another conversation.
  await supervisor.page.goto(`${world.inboxUrl}${hashOf(alan)}`);
  await people(agent).filter({ hasText: "Sol Supervisor" }).waitFor({ state: "detached" });

  // One person with two pages is one person.
  const again = await world.open(USERS.agent, { hash: hashOf(grace) });
  await people(again).filter({ hasText: "Amir Agent (you)" }).waitFor();
  assert.equal(await people(again).count(), 1);
  await closeAll(again, supervisor, agent);
});

test("others see who is typing, until it is sent", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const supervisor = await world.open(USERS.supervisor, { hash: hashOf(grace) });
  await people(supervisor).filter({ hasText: "Amir Agent" }).waitFor();
  const typing = supervisor.page.getByText("Amir Agent is typing…");
  const field = agent.page.getByRole("textbox", { name: "Message to Grace Hopper" });

  // What holds for a moment is awaited before it begins.
  await Promise.all([typing.waitFor(), field.pressSequentially("Until Fri")]);
  assert.ok(!(await agent.page.getByText("is typing…").isVisible()), "nobody sees themselves type");
  await answer(agent, "Until Friday, then.");
  await sees(supervisor, "Until Friday, then.");
  await typing.waitFor({ state: "detached" });

  // Who types and thinks better of it is forgotten after a while.
  await Promise.all([typing.waitFor(), field.pressSequentially("Or")]);
  await typing.waitFor({ state: "detached" });
  await closeAll(agent, supervisor);
});

test("what is answered for a conversation that was left changes nothing in the next one", async () => {
  const supervisor = await world.open(USERS.supervisor, { before: ({ page }) => page.clock.install() });
  const [left, answered] = [Promise.withResolvers(), Promise.withResolvers()];
  const asked = [];
  await supervisor.context.route("**/broadcasting/auth", async (route) => {
    const [name] = /presence-[\w.]+/.exec(decodeURIComponent(route.request().postData() ?? "")) ?? [];
    if (name) asked.push(name);
    if (name !== "presence-conversation.1") return route.continue();
    left.resolve();
    await answered.promise;
    return route.fulfill({ status: 500, json: { message: "Server Error" } });
  });
  const failure = supervisor.page.waitForResponse((response) => response.url().endsWith("/broadcasting/auth") && response.status() === 500);
  await supervisor.page.goto(`${world.inboxUrl}${hashOf(grace)}`);
  await left.promise;
  await supervisor.page.goto(`${world.inboxUrl}${hashOf(alan)}`);
  await people(supervisor).filter({ hasText: "Sol Supervisor (you)" }).waitFor();
  answered.resolve();
  await (await failure).finished();
  // By then it would have been tried again.
  await supervisor.page.clock.runFor(10_000);
  assert.deepEqual(asked, ["presence-conversation.1", "presence-conversation.2"]);
  await closeAll(supervisor);
});

test("nobody can type in another's name", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const supervisor = await world.open(USERS.supervisor, { hash: hashOf(grace) });
  await people(supervisor).filter({ hasText: "Amir Agent" }).waitFor();
  await people(agent).filter({ hasText: "Sol Supervisor" }).waitFor();
  const whisper = () => window.Echo.join("conversation.1").whisper("typing", { user_id: 1, name: "Ada Admin" });
  await Promise.all([supervisor.page.getByText("Amir Agent is typing…").waitFor(), agent.page.evaluate(whisper)]);
  await closeAll(agent, supervisor);
});
