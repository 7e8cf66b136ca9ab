// What happens while the page cannot hear is seen afterwards.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answer, closeAll, departmentHash, hashOf, listShows, sees, timesHeard } from "./lib/page.mjs";
import { CUSTOMERS } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";

const { grace, edsger } = CUSTOMERS;
let world;
before(async () => { world = await startWorld(); });
after(() => world?.close());

const state = ({ page }, text) => page.getByRole("status").filter({ hasText: text }).waitFor();

test("after a restart of the relay the inbox is live again, and shows what was missed", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  const supervisor = await world.open(USERS.supervisor, { hash: departmentHash(1) });
  await world.stopRelay();
  await Promise.all([state(agent, "Connecting"), state(supervisor, "Connecting")]);

  // The desk goes on meanwhile.
  await world.write(grace, "Written while the relay was down.");
  await answer(agent, "Answered while the relay was down.");
  await sees(agent, "Answered while the relay was down.");

  await world.startRelay();
  await Promise.all([state(agent, "Live"), state(supervisor, "Live")]);
  await sees(agent, "Written while the relay was down.");
  await sees(supervisor, "Answered while the relay was down.");
  await listShows(supervisor, grace, "Answered while the relay was down.");

  await world.live(agent);
  await world.live(supervisor);
  await world.write(grace, "And live again.");
  await sees(agent, "And live again.");
  await sees(supervisor, "And live again.");
  await sees(agent, "Written while the relay was down.");
  await closeAll(agent, supervisor);
});

test("who alone is cut off fetches what the others heard", async () => {
  // All connections of this page go through here.
  const connections = [];
  let isCutOff = false;
  const cutOff = await world.open(USERS.agent, {
    hash: hashOf(grace),
    before: ({ page }) =>
      page.routeWebSocket(/\/app\//, (socket) => {
        if (isCutOff) return socket.close({ code: 4100, reason: "over capacity" });
        connections.push(socket);
        socket.connectToServer();
      }),
  });
  const supervisor = await world.open(USERS.supervisor, { hash: hashOf(grace) });
  isCutOff = true;
  for (const socket of connections) await socket.close({ code: 4100, reason: "over capacity" });
  await state(cutOff, "Connecting");

  for (const number of [1, 2, 3]) await world.write(grace, `Missed by one, number ${number}.`);
  await sees(supervisor, "Missed by one, number 3.");

  isCutOff = false;
  await state(cutOff, "Live");
  for (const number of [1, 2, 3]) await sees(cutOff, `Missed by one, number ${number}.`);
  await listShows(cutOff, grace, "Missed by one, number 3.");
  await closeAll(cutOff, supervisor);
});

test("more than a page that was missed leaves no gap", async () => {
  let isCutOff = false;
  const connections = [];
  const cutOff = await world.open(USERS.agent3, {
    hash: hashOf(edsger),
    before: ({ page }) =>
      page.routeWebSocket(/\/app\//, (socket) => {
        if (isCutOff) return socket.close({ code: 4100, reason: "over capacity" });
        connections.push(socket);
        socket.connectToServer();
      }),
  });
  await sees(cutOff, "The rear brake squeals when it rains.");
  isCutOff = true;
  for (const socket of connections) await socket.close({ code: 4100, reason: "over capacity" });
  await state(cutOff, "Connecting");
  const numbers = Array.from({ length: 70 }, (_, index) => index + 1);
  for (const number of numbers) {
    const body = { conversation_id: edsger.conversation, type: "text", content: `Line ${number}.` };
    assert.equal((await world.call(USERS.manager2, "POST", "/api/messages/send", body)).status, 201);
  }
  isCutOff = false;
  await state(cutOff, "Live");
  await sees(cutOff, "Line 70.");
  // What lies before the newest page is fetched when somebody scrolls up.
  for (;;) {
    const shown = await cutOff.page.locator("[data-message]").count();
    // In one step: what is fetched by scrolling takes the button away in between.
    const isMore = await cutOff.page.evaluate(() => {
      const button = document.querySelector("button.more");
      button?.click();
      return button !== null;
    });
    if (!isMore) break;
    const isLonger = (shown) => document.querySelectorAll("[data-message]").length > shown;
    await cutOff.page.waitForFunction(isLonger, shown);
  }
  const texts = await cutOff.page.locator("[data-message] .content").allInnerTexts();
  assert.deepEqual(texts.filter((text) => text.startsWith("Line ")), numbers.map((number) => `Line ${number}.`));
  assert.ok(texts.includes("The rear brake squeals when it rains."));
  await closeAll(cutOff);
});

test("an answer that cannot be sent is kept, and sent when it can be", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  await agent.context.route("**/api/messages/send", (route) => route.abort());
  await answer(agent, "Into the void.");
  await agent.page.getByRole("alert").filter({ hasText: "Not sent" }).waitFor();
  await agent.context.unroute("**/api/messages/send");
  await agent.page.getByRole("button", { name: "Try again" }).click();
  await sees(agent, "Into the void.");
  assert.equal(await agent.page.locator(".outgoing").count(), 0);
  await closeAll(agent);
});

test("a log-in that has ended leads back to the log-in", async () => {
  const manager = await world.open(USERS.manager);
  assert.equal((await world.call(USERS.manager, "POST", "/api/auth/logout")).status, 200);
  await manager.page.locator(".row").first().click();
  await manager.page.getByRole("button", { name: "Log in" }).waitFor();
  await world.write(grace, "Nobody is logged in.");
  assert.equal(await manager.page.evaluate(() => sessionStorage.getItem("tims.session")), null);
  assert.equal(timesHeard(manager, "Nobody is logged in."), 0);
  await closeAll(manager);
});
