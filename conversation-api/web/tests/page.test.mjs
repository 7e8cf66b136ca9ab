// Logging in, the list, and getting around.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answer, closeAll, departmentHash, filter, hashOf, isAccessible, listShows, messages, row, sees } from "./lib/page.mjs";
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
  // What comes while it is open is read; that what was there before is read may be on its way still.
  const newest = Number(await messages(supervisor, "Is anybody there?").getAttribute("data-message"));
  const read = supervisor.page.waitForResponse((response) =>
    response.url().endsWith("/read") && response.ok() && response.request().postDataJSON().message_id > newest);
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
    await world.send(USERS.manager, body);
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

test("single keys lead through the list, search, explain themselves, and can be switched off", async () => {
  const inbox = await world.open(USERS.supervisor);
  const { page } = inbox;
  const focused = () => page.evaluate(() => document.activeElement.dataset.conversation ?? document.activeElement.id);
  await row(inbox, grace).waitFor();
  const order = await page.locator(".row").evaluateAll((rows) => rows.map(({ dataset }) => dataset.conversation));
  await page.keyboard.press("j");
  assert.equal(await focused(), order[0]);
  await page.keyboard.press("j");
  assert.equal(await focused(), order[1]);
  await page.keyboard.press("k");
  assert.equal(await focused(), order[0]);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.id === "composer");
  // In the field, keys are letters.
  await page.keyboard.type("jk/?");
  assert.equal(await page.locator("#composer").inputValue(), "jk/?");
  await page.locator("#composer").fill("");
  await page.keyboard.press("Escape");
  assert.notEqual(await focused(), "composer");
  await page.keyboard.press("Escape");
  await page.getByText("Choose a conversation").waitFor();
  await page.keyboard.press("/");
  assert.equal(await focused(), "search");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("switch", { name: "Keyboard shortcuts" }).click();
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  assert.equal(await page.getByRole("dialog").count(), 0);
  await page.reload();
  await row(inbox, grace).waitFor();
  await page.keyboard.press("?");
  assert.equal(await page.getByRole("dialog").count(), 0, "it stays off");
  // The first thing that the keyboard reaches leads to what matters.
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.ok(order.includes(await focused()));
  await closeAll(inbox);
});

/** Keeps the notifications that are shown, and counts the notes that are played. */
async function counted({ context }) {
  await context.grantPermissions(["notifications"]);
  await context.addInitScript(() => {
    globalThis.shown = [];
    globalThis.played = 0;
    globalThis.Notification = class {
      static permission = "granted";
      static requestPermission = async () => "granted";
      constructor(title, { body }) { globalThis.shown.push(`${title}: ${body}`); }
    };
    const { start } = OscillatorNode.prototype;
    OscillatorNode.prototype.start = function counted(...at) { globalThis.played += 1; return start.apply(this, at); };
  });
}

test("sound and notifications are off until they are switched on, and come when nobody looks", async () => {
  const inbox = await world.open(USERS.agent, { before: counted });
  const { page } = inbox;
  await world.write(grace, "Nobody is disturbed.");
  await listShows(inbox, grace, "Nobody is disturbed.");
  assert.deepEqual(await page.evaluate(() => [shown, played]), [[], 0]);
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("switch", { name: "Sound" }).click();
  await page.getByRole("switch", { name: "Desktop notifications" }).click();
  await page.keyboard.press("Escape");
  const heard = await page.evaluate(() => played);
  assert.ok(heard > 0, "it is heard when it is switched on");
  await world.write(grace, "Ring.");
  await page.waitForFunction(() => shown.includes("Grace Hopper: Ring."));
  assert.ok((await page.evaluate(() => played)) > heard);
  // Whose a conversation is decides whom it calls.
  await world.write(alan, "Not for Amir.");
  await world.write(grace, "For Amir.");
  await page.waitForFunction(() => shown.includes("Grace Hopper: For Amir."));
  assert.ok(!(await page.evaluate(() => shown)).some((text) => text.includes("Not for Amir")));
  await closeAll(inbox);
});

test("what has no text is named in notifications and to screen readers, and what is taken back rings nowhere", async () => {
  const inbox = await world.open(USERS.agent, { before: counted });
  const { page } = inbox;
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("switch", { name: "Sound" }).click();
  await page.getByRole("switch", { name: "Desktop notifications" }).click();
  await page.keyboard.press("Escape");
  const announced = (text) => page.getByRole("status").filter({ hasText: text }).waitFor({ state: "attached" });
  const file = { id: "media-unknown", mime_type: "audio/ogg", sha256: "x" };
  await world.write(grace, { type: "audio", audio: file });
  await page.waitForFunction(() => shown.includes("Grace Hopper: Audio"));
  await announced("Grace Hopper: Audio");
  // The same again is announced again.
  await page.evaluate(() => {
    const status = [...document.querySelectorAll("[role=status]")].find(({ textContent }) => textContent.startsWith("Grace Hopper: Audio"));
    globalThis.announced = new Promise((resolve) => { new MutationObserver(() => resolve(status.textContent)).observe(status, { subtree: true, childList: true, characterData: true }); });
  });
  await world.write(grace, { type: "audio", audio: file });
  assert.match(await page.evaluate(() => announced), /^Grace Hopper: Audio\s$/);
  await world.write(grace, { type: "image", image: { ...file, mime_type: "image/png", caption: "My *bicycle*" } });
  await page.waitForFunction(() => shown.includes("Grace Hopper: Image: My bicycle"));
  await announced("Grace Hopper: Image: My bicycle");
  await world.write(grace, { type: "reaction", reaction: { message_id: "wamid.unknown", emoji: "👍" } });
  await page.waitForFunction(() => shown.includes("Grace Hopper: Reaction: 👍"));
  const before = await page.evaluate(() => [shown.length, played]);
  await world.write(grace, { type: "reaction", reaction: { message_id: "wamid.unknown", emoji: "" } });
  await listShows(inbox, grace, "Reaction taken back");
  assert.deepEqual(await page.evaluate(() => [shown.length, played]), before);
  await closeAll(inbox);
});

test("nothing of the page needs an inline script or style, or anything from elsewhere", async () => {
  const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; connect-src 'self' ws:";
  const inbox = await world.open(USERS.supervisor, {
    hash: hashOf(grace),
    before: ({ context }) =>
      context.route("**/inbox/", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, headers: { ...response.headers(), "content-security-policy": policy } });
      }),
  });
  await answer(inbox, "Under a strict policy.");
  await sees(inbox, "Under a strict policy.");
  await inbox.page.getByRole("button", { name: "Settings" }).click();
  await inbox.page.keyboard.press("Escape");
  await closeAll(inbox);
});

for (const colorScheme of ["light", "dark"]) {
  test(`everybody can use it, ${colorScheme}`, async () => {
    const stranger = await world.open(null, { colorScheme });
    await stranger.page.getByRole("button", { name: "Log in" }).waitFor();
    await isAccessible(stranger, "the log-in");
    await closeAll(stranger);
    const inbox = await world.open(USERS.manager, { colorScheme });
    await row(inbox, grace).waitFor();
    await isAccessible(inbox, "the list");
    await row(inbox, barbara).click();
    await inbox.page.locator("#composer").waitFor();
    await isAccessible(inbox, "a conversation");
    await inbox.page.getByRole("button", { name: "Note", exact: true }).click();
    await isAccessible(inbox, "a note");
    await inbox.page.getByRole("button", { name: "Template", exact: true }).click();
    await isAccessible(inbox, "a template");
    await inbox.page.getByRole("button", { name: "Settings" }).click();
    await inbox.page.getByRole("dialog", { name: "Settings" }).waitFor();
    await isAccessible(inbox, "the settings");
    await inbox.page.keyboard.press("Escape");
    await inbox.page.goto(`${world.inboxUrl}${departmentHash(1)}`);
    await inbox.page.locator(".entry").first().waitFor();
    await isAccessible(inbox, "a department");
    await filter(inbox, "Mine").click();
    await inbox.page.getByText("You have no conversation").waitFor();
    await isAccessible(inbox, "an empty list");
    await closeAll(inbox);
  });
}

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
