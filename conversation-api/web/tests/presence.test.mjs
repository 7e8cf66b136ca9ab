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

test("nobody can type in another's name", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const supervisor = await world.open(USERS.supervisor, { hash: hashOf(grace) });
  await people(supervisor).filter({ hasText: "Amir Agent" }).waitFor();
  await people(agent).filter({ hasText: "Sol Supervisor" }).waitFor();
  const whisper = () => window.Echo.join("conversation.1").whisper("typing", { user_id: 1, name: "Ada Admin" });
  await Promise.all([supervisor.page.getByText("Amir Agent is typing…").waitFor(), agent.page.evaluate(whisper)]);
  await closeAll(agent, supervisor);
});
