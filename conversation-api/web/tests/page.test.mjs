// Logging in, the list, and getting around.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answer, closeAll, hashOf, listShows, row, sees } from "./lib/page.mjs";
import { CUSTOMERS } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";

const { grace, alan, barbara } = CUSTOMERS;
let world;
before(async () => { world = await startWorld(); });
after(() => world?.close());

test("log in, stay logged in, log out", async () => {
  const inbox = await world.open(null);
  const { page } = inbox;
  await page.getByLabel("E-mail").fill(USERS.agent);
  await page.getByLabel("Password").fill("wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").filter({ hasText: "do not match" }).waitFor();
  // A demonstration account fills the form.
  await page.getByRole("button", { name: "Amir Agent" }).click();
  await page.getByLabel("Password").press("Enter");
  await row(inbox, grace).waitFor();
  assert.equal(await page.locator(".row").count(), 1, "an agent sees what is assigned to them");
  await page.reload();
  await row(inbox, grace).waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Log in" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Log in" }).waitFor();
  await closeAll(inbox);
});

test("what is unread is marked until it is opened", async () => {
  const supervisor = await world.open(USERS.supervisor);
  const badge = row(supervisor, alan).locator(".badge");
  const before = parseInt(await badge.innerText(), 10);
  await world.write(alan, "Is anybody there?");
  await listShows(supervisor, alan, "Is anybody there?");
  await badge.filter({ hasText: `${before + 1} unread messages` }).waitFor();
  await row(supervisor, alan).click();
  await sees(supervisor, "Is anybody there?");
  await badge.waitFor({ state: "detached" });
  // What comes while it is open is read.
  const read = supervisor.page.waitForResponse((response) => response.url().endsWith("/read") && response.ok());
  await world.write(alan, "Hello?");
  await sees(supervisor, "Hello?");
  await read;
  await supervisor.page.reload();
  await sees(supervisor, "Hello?");
  assert.equal(await badge.count(), 0);
  await closeAll(supervisor);
});

test("long conversations are read backwards", async () => {
  for (let number = 1; number <= 60; number += 1) {
    const body = { conversation_id: barbara.conversation, type: "text", content: `Sentence ${number}.` };
    assert.equal((await world.call(USERS.manager, "POST", "/api/messages/send", body)).status, 201);
  }
  const supervisor = await world.open(USERS.supervisor, { hash: hashOf(barbara) });
  await sees(supervisor, "Sentence 60.");
  assert.equal(await supervisor.page.getByText("Sentence 5.", { exact: true }).count(), 0);
  const log = supervisor.page.getByRole("log");
  const gap = await log.evaluate((box) => box.scrollHeight - box.clientHeight - box.scrollTop);
  assert.ok(gap < 2, "the newest message is in view");
  await log.evaluate((box) => box.scrollTo(0, 0));
  await supervisor.page.getByText("Sentence 5.", { exact: true }).waitFor();
  // What was in view still is.
  assert.ok(await log.evaluate((box) => box.scrollTop > 200));
  await world.write(barbara, "Too long to read.");
  await supervisor.page.getByRole("button", { name: "New messages" }).click();
  await supervisor.page.waitForFunction(() => {
    const box = document.querySelector("[role=log]");
    return box.scrollHeight - box.clientHeight - box.scrollTop < 2;
  });
  await closeAll(supervisor);
});

test("a manager says who answers", async () => {
  const manager = await world.open(USERS.manager, { hash: hashOf(barbara) });
  await manager.page.getByLabel("Assigned to").selectOption("Ana Agent");
  await row(manager, barbara).filter({ hasText: "Ana Agent" }).waitFor();
  const agent = await world.open(USERS.agent2, { hash: hashOf(barbara) });
  await sees(agent, "Too long to read.");
  assert.equal(await agent.page.getByLabel("Assigned to").count(), 0, "agents do not");
  await closeAll(manager, agent);
});

test("on a phone there is one column at a time", async () => {
  const inbox = await world.open(USERS.supervisor, { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
  const { page } = inbox;
  const list = page.getByRole("region", { name: "Conversations" });
  await list.waitFor();
  assert.ok(!(await page.getByRole("main").isVisible()));
  await row(inbox, grace).tap();
  await page.getByRole("log").waitFor();
  assert.ok(!(await list.isVisible()));
  await answer(inbox, "From my phone.");
  await sees(inbox, "From my phone.");
  await page.getByRole("button", { name: "Details", exact: true }).tap();
  await page.getByRole("complementary", { name: "Details" }).getByText("Sol Supervisor (you)").waitFor();
  await page.getByRole("button", { name: "Close details" }).tap();
  await page.getByRole("link", { name: "Back to the list" }).tap();
  await list.waitFor();
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, "nothing sticks out");
  await closeAll(inbox);
});

test("all of it works with the keyboard", async () => {
  const inbox = await world.open(USERS.agent);
  const { page } = inbox;
  await row(inbox, grace).focus();
  await page.keyboard.press("Enter");
  const field = page.getByRole("textbox", { name: "Message to Grace Hopper" });
  await field.waitFor();
  await page.waitForFunction(() => document.activeElement?.id === "composer");
  await page.keyboard.type("First line");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("second line");
  await page.keyboard.press("Enter");
  await sees(inbox, "First line\nsecond line");
  assert.equal(await field.inputValue(), "");
  await closeAll(inbox);
});
