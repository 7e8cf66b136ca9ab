// What happens while the page cannot hear is seen afterwards.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answer, closeAll, departmentHash, hashOf, listShows, row, sees, timesHeard } from "./lib/page.mjs";
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
    await world.send(USERS.manager2, body);
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
  const texts = await cutOff.page.locator("[data-message] .content").allTextContents();
  assert.deepEqual(texts.filter((text) => text.startsWith("Line ")), numbers.map((number) => `Line ${number}.`));
  assert.ok(texts.includes("The rear brake squeals when it rains."));
  await closeAll(cutOff);
});

test("earlier messages that cannot be fetched are offered again", async () => {
  // The conversation of the test before, which has more than a page.
  const manager = await world.open(USERS.manager2, { hash: hashOf(edsger) });
  await sees(manager, "Line 70.");
  const earlier = /\/messages\?before=/;
  await manager.context.route(earlier, (route) => route.fulfill({ status: 500, json: { message: "Server Error" } }));
  await manager.page.getByRole("log").evaluate((box) => box.scrollTo(0, 0));
  const again = manager.page.getByRole("button", { name: "Earlier messages could not be fetched: try again" });
  await again.waitFor();
  await manager.context.unroute(earlier);
  await again.click();
  await manager.page.getByText("Line 1.", { exact: true }).waitFor();
  await closeAll(manager);
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

test("an answer that got lost on its way back is not sent twice", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  await agent.context.route("**/api/messages/send", async (route) => {
    await route.fetch();
    await route.abort();
  });
  await answer(agent, "Arrived, and not known to be.");
  const alert = agent.page.getByRole("alert").filter({ hasText: "Not sent" });
  await alert.waitFor();
  await agent.context.unroute("**/api/messages/send");
  await alert.getByRole("button", { name: "Try again" }).click();
  await sees(agent, "Arrived, and not known to be.");
  await alert.waitFor({ state: "detached" });
  await world.write(grace, "Thank you.");
  await sees(agent, "Thank you.");
  await sees(agent, "Arrived, and not known to be.");
  await world.graph.awaitSent(({ text }) => text?.body === "Arrived, and not known to be.");
  assert.equal(world.graph.timesSent("Arrived, and not known to be."), 1);
  await closeAll(agent);
});

test("messages arrive in the order in which they were written, and one that failed holds the next", async () => {
  const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  await agent.context.route("**/api/messages/send", async (route) => {
    await held;
    await route.continue();
  }, { times: 1 });
  await answer(agent, "One, slowly.");
  await answer(agent, "Two, quickly.");
  await agent.page.getByText("Waits for the message before it").waitFor();
  release();
  await sees(agent, "Two, quickly.");
  const texts = await agent.page.locator("[data-message] .content").allTextContents();
  assert.deepEqual(texts.slice(-2), ["One, slowly.", "Two, quickly."]);

  await agent.context.route("**/api/messages/send", (route) => route.abort(), { times: 1 });
  await answer(agent, "Three, failing.");
  await answer(agent, "Four, behind it.");
  await agent.page.getByRole("alert").filter({ hasText: "Not sent" }).waitFor();
  await agent.page.getByText("Waits for the message before it").waitFor();
  await agent.page.getByRole("button", { name: "Try again" }).click();
  await sees(agent, "Four, behind it.");
  const all = await agent.page.locator("[data-message] .content").allTextContents();
  assert.deepEqual(all.slice(-2), ["Three, failing.", "Four, behind it."]);
  await closeAll(agent);
});

test("who else is there is known after an outage of what says so", async () => {
  let failures = 2;
  const agent = await world.open(null, {
    before: ({ context }) =>
      context.route("**/broadcasting/auth", (route) => {
        const isPresence = decodeURIComponent(route.request().postData() ?? "").includes("presence-conversation");
        if (!isPresence || failures-- <= 0) return route.continue();
        return route.fulfill({ status: 500, json: { message: "Server Error" } });
      }),
  });
  await agent.page.getByLabel("E-mail").fill(USERS.agent);
  await agent.page.getByLabel("Password").fill(world.password);
  await agent.page.getByRole("button", { name: "Log in" }).click();
  await row(agent, grace).click();
  const details = agent.page.getByRole("complementary", { name: "Details" });
  await details.getByText("Not known now. Trying again").waitFor();
  await details.getByRole("listitem").filter({ hasText: "Amir Agent (you)" }).waitFor();
  assert.ok(failures < 0);
  await closeAll(agent);
});

test("what cannot be fetched is not shown as empty, and is fetched when it can be", async () => {
  const api = /\/api\/(conversations|users|departments|templates)/;
  const fail = (route) => route.fulfill({ status: 500, json: { message: "Server Error" } });
  const manager = await world.open(null, { hash: hashOf(grace), before: ({ context }) => context.route(api, fail) });
  await manager.page.getByLabel("E-mail").fill(USERS.manager);
  await manager.page.getByLabel("Password").fill(world.password);
  await manager.page.getByRole("button", { name: "Log in" }).click();
  await manager.page.getByText("Conversations could not be fetched.").waitFor();
  await manager.page.getByText("The conversation could not be fetched.").waitFor();
  assert.equal(await manager.page.locator("#composer").count(), 0, "nobody writes into what is not there");
  // In one step: the page tries again by itself, too, and takes the button away.
  await manager.page.getByRole("main").getByRole("button", { name: "Try again" }).evaluate((button) => button.click());
  await manager.context.unroute(api);
  await manager.page.locator("#composer").waitFor();
  await row(manager, grace).waitFor();
  await manager.page.getByLabel("Assigned to").selectOption("Amir Agent");
  await manager.page.getByLabel("Department", { exact: true }).waitFor();

  await manager.context.route(api, fail);
  await manager.page.goto(`${world.inboxUrl}${departmentHash(1)}`);
  await manager.page.getByText("Earlier messages could not be fetched.").waitFor();
  await manager.context.unroute(api);
  // Without anybody's doing.
  await manager.page.locator(".entry").first().waitFor();
  await closeAll(manager);
});

test("while the backend is slow the page says what it waits for", async () => {
  const agent = await world.open(USERS.agent);
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  await agent.context.route(/\/api\/conversations\/\d+/, async (route) => {
    await held;
    await route.continue();
  });
  await row(agent, grace).click();
  await agent.page.getByText("Fetching the conversation…").waitFor();
  assert.equal(await agent.page.locator("#composer").count(), 0);
  release();
  await agent.page.locator("#composer").waitFor();
  await closeAll(agent);
});

test("a log-in that has ended leads back to the log-in", async () => {
  const manager = await world.open(USERS.manager);
  assert.equal((await world.call(USERS.manager, "POST", "/api/auth/logout")).status, 200);
  // By itself: its connection to the relay is ended, and no channel is authorised again.
  await manager.page.getByRole("button", { name: "Log in" }).waitFor();
  await world.write(grace, "Nobody is logged in.");
  assert.equal(await manager.page.evaluate(() => localStorage.getItem("tims.session")), null);
  assert.equal(timesHeard(manager, "Nobody is logged in."), 0);
  await closeAll(manager);
});
