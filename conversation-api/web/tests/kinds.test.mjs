// Messages of every kind, as they arrive and as they change.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answer, closeAll, departmentHash, hashOf, isAccessible, messages, row, sees, shows } from "./lib/page.mjs";
import { CUSTOMERS, statusReport } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";
import { png } from "./lib/png.mjs";

const { grace, alan } = CUSTOMERS;
let world;
before(async () => { world = await startWorld(); });
after(() => world?.close());

const send = (email, conversation, content) => world.send(email, { conversation_id: conversation, type: "text", content });

test("ticks change while one looks, and a failure shows its reason until it is tried again", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const tick = (text, status) => messages(agent, text).locator(`.delivery.${status}`).waitFor();
  await answer(agent, "Shall I wrap it?");
  const { id } = await world.graph.awaitSent(({ text }) => text?.body === "Shall I wrap it?");
  await tick("Shall I wrap it?", "sent");
  await world.deliver(statusReport(id, "delivered"));
  await tick("Shall I wrap it?", "delivered");
  await world.deliver(statusReport(id, "read"));
  await tick("Shall I wrap it?", "read");

  await answer(agent, "Into nowhere.");
  const lost = await world.graph.awaitSent(({ text }) => text?.body === "Into nowhere.");
  await tick("Into nowhere.", "sent");
  await world.deliver(statusReport(lost.id, "failed", [{ code: 131026, title: "Message undeliverable", message: "Message undeliverable" }]));
  const failure = messages(agent, "Into nowhere.").locator(".failure-reason");
  await failure.filter({ hasText: "Message undeliverable" }).waitFor();
  await agent.page.reload();
  await failure.filter({ hasText: "Message undeliverable" }).waitFor();
  if (await failure.getByRole("button", { name: "Try again" }).count()) {
    await failure.getByRole("button", { name: "Try again" }).click();
    await tick("Into nowhere.", "sent");
  } else {
    assert.fail("it cannot be tried again");
  }
  assert.equal(world.graph.timesSent("Into nowhere."), 2);
  await closeAll(agent);
});

test("who wrote a message that fails learns of it wherever they are, and the list marks it", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const colleague = await world.open(USERS.agent2, { hash: departmentHash(1) });
  const page = agent.page;
  const fail = (id) => world.deliver(statusReport(id, "failed", [{ code: 131026, title: "Message undeliverable" }]));
  await answer(agent, "See you on Monday.");
  const { id } = await world.graph.awaitSent(({ text }) => text?.body === "See you on Monday.");
  await messages(agent, "See you on Monday.").locator(".delivery.sent").waitFor();
  await page.getByRole("button", { name: "Resolve" }).click();
  await page.getByRole("button", { name: "Reopen" }).waitFor();
  await page.goto(`${world.inboxUrl}#/`);
  await fail(id);
  const notice = page.getByRole("alert").filter({ hasText: "A message to Grace Hopper was not delivered." });
  await notice.waitFor();
  await page.getByLabel("Status").selectOption("Resolved");
  await row(agent, grace).filter({ hasText: "Not delivered You: See you on Monday." }).waitFor();
  await isAccessible(agent, "a list with a message that was not delivered");
  await notice.getByRole("link", { name: "Grace Hopper" }).click();
  await messages(agent, "See you on Monday.").locator(".failure-reason").waitFor();
  await notice.waitFor({ state: "detached" });
  await page.reload();
  await page.getByLabel("Status").selectOption("Resolved");
  await row(agent, grace).filter({ hasText: "Not delivered You: See you on Monday." }).waitFor();
  await page.getByRole("button", { name: "Reopen" }).click();
  await page.getByRole("button", { name: "Resolve" }).waitFor();
  // The department gets the event, too; what comes after it comes later.
  await world.write(grace, "Which Monday?");
  await sees(colleague, "Which Monday?");
  assert.ok(!(await shows(colleague, "not delivered")));
  await closeAll(agent, colleague);
});

test("an image is shown in its place, and its caption below it", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  world.graph.keep("media-1", "image/png", png(320, 240, [40, 120, 200]));
  await world.write(grace, { type: "image", image: { id: "media-1", mime_type: "image/png", sha256: "x", caption: "Like *this*?" } });
  const message = messages(agent, "Like this?");
  const image = message.locator(".picture img");
  await image.waitFor();
  await agent.page.waitForFunction(() => document.querySelector(".picture img")?.naturalWidth === 320);
  assert.ok((await image.getAttribute("src")).startsWith("blob:"));
  assert.equal(await message.locator("strong").innerText(), "this");
  const { width, height } = await message.locator(".picture").boundingBox();
  assert.deepEqual([Math.round(width), Math.round(height)], [264, 198], "its place does not depend on the image");
  // Large, and back.
  await message.getByRole("button", { name: /^Enlarge/ }).click();
  await agent.page.getByRole("dialog").getByRole("link", { name: "Download" }).waitFor();
  await agent.page.keyboard.press("Escape");
  await agent.page.getByRole("dialog").waitFor({ state: "detached" });
  await row(agent, grace).filter({ hasText: "Image" }).waitFor();
  await closeAll(agent);
});

test("an image that is not there yet takes the place that it will have, and one that never comes says so", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  await world.write(grace, { type: "image", image: { id: "media-unknown", mime_type: "image/png", sha256: "x", caption: "Lost on the way" } });
  const place = messages(agent, "Lost on the way").locator(".picture");
  await place.filter({ hasText: "not available" }).waitFor();
  const { width, height } = await place.boundingBox();
  assert.deepEqual([Math.round(width), Math.round(height)], [264, 198]);
  await closeAll(agent);
});

test("documents are downloaded under their name, and never opened", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  world.graph.keep("media-2", "application/pdf", Buffer.from("%PDF-1.4 nothing"));
  const document = { id: "media-2", mime_type: "application/pdf", sha256: "x", filename: "invoice.pdf", caption: "The invoice" };
  await world.write(grace, { type: "document", document });
  const message = messages(agent, "The invoice");
  await message.getByText("invoice.pdf").waitFor();
  await message.getByRole("button", { name: "Download" }).click();
  const download = agent.page.waitForEvent("download");
  await message.getByRole("link", { name: "Save" }).click();
  assert.equal((await download).suggestedFilename(), "invoice.pdf");
  assert.equal(agent.context.pages().length, 1);
  await closeAll(agent);
});

test("places, contacts, buttons and what cannot be shown are shown for what they are", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  await world.write(grace, { type: "location", location: { latitude: 53.55, longitude: 9.99, name: "Town hall", address: "Rathausmarkt 1" } });
  const map = messages(agent, "Town hall").getByRole("link", { name: "Map" });
  assert.equal(await map.getAttribute("rel"), "noopener noreferrer");
  await messages(agent, "Town hall").getByText("Rathausmarkt 1").waitFor();
  await world.write(grace, { type: "contacts", contacts: [{ name: { formatted_name: "Howard Aiken" }, phones: [{ phone: "+49 170 5" }] }] });
  await messages(agent, "Howard Aiken").locator(".contact-card").waitFor();
  await world.write(grace, { type: "button", button: { text: "Yes, please", payload: "yes" } });
  await messages(agent, "Yes, please").getByText("Answered with a button").waitFor();
  await world.write(grace, { type: "interactive", interactive: { type: "list_reply", list_reply: { id: "1", title: "Blue" } } });
  await messages(agent, "Blue").getByText("Chose").waitFor();
  await world.write(grace, { type: "unsupported", errors: [{ code: 131051, title: "Message type unknown" }] });
  await agent.page.locator(".bubble.of-unsupported").waitFor();
  await closeAll(agent);
});

test("a reaction stands at the message that it is to", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  await answer(agent, "It is ready on Friday.");
  const { id } = await world.graph.awaitSent(({ text }) => text?.body === "It is ready on Friday.");
  await messages(agent, "It is ready on Friday.").locator(".delivery.sent").waitFor();
  await world.write(grace, { type: "reaction", reaction: { message_id: id, emoji: "👍" } });
  await messages(agent, "It is ready on Friday.").locator(".reactions").filter({ hasText: "👍" }).waitFor();
  assert.equal(await agent.page.locator(".bubble.of-reaction").count(), 0);
  await agent.page.reload();
  await messages(agent, "It is ready on Friday.").locator(".reactions").filter({ hasText: "👍" }).waitFor();
  await closeAll(agent);
});

test("a message too long for an event is there in full", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const supervisor = await world.open(USERS.supervisor, { hash: hashOf(grace) });
  const text = `Begin ${"ü€".repeat(2000)} end.`;
  await world.write(grace, text);
  for (const inbox of [agent, supervisor]) await sees(inbox, text);
  await closeAll(agent, supervisor);
});

test("in the department's feed, too, a long message is there in full, and where it may not be read it does not look so", async () => {
  const supervisor = await world.open(USERS.supervisor, { hash: departmentHash(1) });
  const ana = await world.open(USERS.agent2, { hash: departmentHash(1) });
  const text = `Opening ${"ü€".repeat(2000)} closing.`;
  await world.write(grace, text);
  const entry = ({ page }) => page.locator(".entry").filter({ hasText: "Opening" });
  await entry(supervisor).filter({ hasText: "closing." }).waitFor();
  assert.equal(await entry(supervisor).locator(".cut").count(), 0);
  // It is Amir's.
  await entry(ana).filter({ hasText: "Only the beginning is shown here." }).waitFor();
  await closeAll(supervisor, ana);
});

test("in the department's feed, pictures and files are called what they are, with their caption", async () => {
  const supervisor = await world.open(USERS.supervisor, { hash: departmentHash(1) });
  const entry = (text) => supervisor.page.locator(".entry .content").filter({ hasText: text });
  await world.write(grace, { type: "image", image: { id: "media-feed", mime_type: "image/png", sha256: "x", caption: "My *bicycle*" } });
  await entry("Image My bicycle").waitFor();
  await world.write(grace, { type: "document", document: { id: "media-feed", mime_type: "application/pdf", sha256: "x", caption: "My bill" } });
  await entry("Document My bill").waitFor();
  await world.write(grace, { type: "sticker", sticker: { id: "media-feed", mime_type: "image/webp", sha256: "x" } });
  await entry(/^Sticker\s*$/).waitFor();
  await closeAll(supervisor);
});

test("links lead out safely, and names and texts cannot turn around what stands beside them", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  await world.write({ ...grace, name: "Grace \u202Ereppoh" }, "See https://example.com/a. Not javascript:alert(1) \u202Efdp.exe");
  const link = messages(agent, "See https://example.com/a").getByRole("link");
  await link.first().waitFor();
  assert.equal(await link.count(), 1);
  assert.deepEqual([await link.getAttribute("href"), await link.getAttribute("rel")], ["https://example.com/a", "noopener noreferrer"]);
  await row(agent, grace).filter({ hasText: "Grace reppoh" }).waitFor();
  assert.ok(!/[\u202a-\u202e]/.test(await agent.page.locator("body").innerText()));
  await world.write(grace, "Me again.");
  await sees(agent, "Me again.");
  await closeAll(agent);
});

test("notes are seen by colleagues, called notes, and never sent", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const supervisor = await world.open(USERS.supervisor, { hash: hashOf(grace) });
  await agent.page.getByRole("button", { name: "Note", exact: true }).click();
  await agent.page.getByRole("textbox", { name: "Note about Grace Hopper" }).fill("A regular: ten percent.");
  await agent.page.getByRole("button", { name: "Add note" }).click();
  await supervisor.page.locator(".message.a-note").filter({ hasText: "Note by Amir Agent" }).filter({ hasText: "ten percent" }).waitFor();
  await sees(agent, "A regular: ten percent.");
  assert.equal(await messages(agent, "ten percent").locator(".delivery").count(), 0);
  // What comes next is a note, too, until somebody chooses otherwise.
  await agent.page.keyboard.type("And free tubes.");
  await agent.page.keyboard.press("Enter");
  await supervisor.page.locator(".message.a-note").filter({ hasText: "free tubes" }).waitFor();
  await agent.page.getByRole("button", { name: "Reply", exact: true }).click();
  await answer(agent, "There is a discount.");
  await world.graph.awaitSent(({ text }) => text?.body === "There is a discount.");
  assert.equal(world.graph.timesSent("And free tubes."), 0);
  assert.equal(world.graph.timesSent("A regular: ten percent."), 0);
  await closeAll(agent, supervisor);
});

test("when the 24 hours are over, a template can be sent and a note written, and nothing else", async () => {
  // The clock of the page, not of the backend, is what decides here.
  const late = await world.open(USERS.agent2, {
    hash: hashOf(alan),
    before: ({ page }) => page.clock.install({ time: Date.now() + 25 * 3_600_000 }),
  });
  await late.page.getByText("24 h over").waitFor();
  const form = late.page.locator(".template-form");
  await form.getByLabel("Text for {{1}}").fill("Alan");
  assert.ok(await form.getByRole("button", { name: "Send template" }).isDisabled());
  await form.getByLabel("Text for {{2}}").fill("4711");
  await form.getByText("Hello Alan, your order 4711 is on its way.").waitFor();
  await form.getByRole("button", { name: "Send template" }).click();
  const sent = await world.graph.awaitSent(({ type }) => type === "template");
  assert.equal(sent.template.name, "order_update");
  await sees(late, "Hello Alan, your order 4711 is on its way.");
  await late.page.getByRole("button", { name: "Reply" }).click();
  await late.page.getByText("The 24 hours in which WhatsApp lets you answer freely are over.").waitFor();
  assert.ok(await late.page.locator("#composer").isDisabled());
  await late.page.getByRole("button", { name: "write a note" }).click();
  assert.ok(await late.page.getByRole("textbox", { name: "Note about Alan Kay" }).isEnabled());
  await closeAll(late);

  const soon = await world.open(USERS.agent, { hash: hashOf(grace) });
  await soon.page.getByText(/23 h left/).waitFor();
  await closeAll(soon);
});

test("what is new since the last time begins below a mark", async () => {
  await send(USERS.agent, grace.conversation, "Before the break.");
  const first = await world.open(USERS.supervisor, { hash: hashOf(grace) });
  await sees(first, "Before the break.");
  await row(first, grace).locator(".badge").waitFor({ state: "detached" });
  await closeAll(first);
  await world.write(grace, "While you were away.");
  const again = await world.open(USERS.supervisor, { hash: hashOf(grace) });
  await sees(again, "While you were away.");
  await again.page.locator(".unread-mark").waitFor();
  const after = await again.page.evaluate(() => document.querySelector(".unread-mark").nextElementSibling.innerText);
  assert.match(after, /While you were away/);
  await closeAll(again);
});
