// Logging in and out, in several tabs, and what is kept for whom.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answer, closeAll, hashOf, messages, row, sees } from "./lib/page.mjs";
import { CUSTOMERS } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";

const { grace } = CUSTOMERS;
let world;
before(async () => { world = await startWorld(); });
after(() => world?.close());

async function logIn(page, email) {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(world.password);
  await page.getByRole("button", { name: "Log in" }).click();
}
const logOut = (page) => page.getByRole("button", { name: "Log out" }).click();
const isLoggedOut = (page) => page.getByRole("button", { name: "Log in" }).waitFor();
const field = (page) => page.locator("#composer");

test("a new tab is logged in, and all tabs are logged out together", async () => {
  const inbox = await world.open(null);
  const first = inbox.page;
  await logIn(first, USERS.agent);
  await row(inbox, grace).waitFor();
  const second = await inbox.context.newPage();
  await second.goto(world.inboxUrl);
  await row({ page: second }, grace).waitFor();
  await logOut(second);
  await isLoggedOut(first);
  assert.equal(await first.evaluate(() => localStorage.getItem("tims.session")), null);

  // Another person logs in: nobody is left behind as the first one.
  await logIn(second, USERS.manager);
  await first.getByText("Mara Manager").waitFor();
  await logOut(first);
  await isLoggedOut(second);
  await closeAll(inbox);
});

test("a draft is kept for its author, and shown to nobody else", async () => {
  const inbox = await world.open(null, { hash: hashOf(grace) });
  const { page } = inbox;
  await logIn(page, USERS.agent);
  await field(page).fill("For Amir's eyes only");
  await page.reload();
  await field(page).waitFor();
  assert.equal(await field(page).inputValue(), "For Amir's eyes only");
  await logOut(page);
  await logIn(page, USERS.supervisor);
  await field(page).waitFor();
  assert.equal(await field(page).inputValue(), "");
  await logOut(page);
  await logIn(page, USERS.agent);
  await field(page).waitFor();
  assert.equal(await field(page).inputValue(), "For Amir's eyes only");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await sees(inbox, "For Amir's eyes only");
  const kept = await page.evaluate(() => Object.keys(localStorage).filter((key) => /draft|outgoing/.test(key)));
  assert.deepEqual(kept, [], "nothing is kept of what was sent");
  await closeAll(inbox);
});

test("what the browser is asked for one user is not switched on for the next", async () => {
  const inbox = await world.open(USERS.agent, {
    before: ({ context }) => context.addInitScript(() => {
      globalThis.Notification = class {
        static permission = "default";
        static requestPermission = () => new Promise((resolve) => { globalThis.answer = resolve; });
      };
    }),
  });
  const { page } = inbox;
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("switch", { name: "Desktop notifications" }).click();
  await page.keyboard.press("Escape");
  await logOut(page);
  await logIn(page, USERS.supervisor);
  await row(inbox, grace).waitFor();
  await page.evaluate(() => { globalThis.answer("granted"); });
  await page.getByRole("button", { name: "Settings" }).click();
  assert.equal(await page.getByRole("switch", { name: "Desktop notifications" }).isChecked(), false);
  await closeAll(inbox);
});

/** Ends the log-in of a page, as its end or an administrator does. */
async function endLogIn(page) {
  const { token } = await page.evaluate(() => JSON.parse(localStorage.getItem("tims.session")));
  const ended = await fetch(`${world.url}/api/auth/logout`, { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  assert.equal(ended.status, 200);
}

test("what was begun when the log-in ended is there after the next one", async () => {
  const inbox = await world.open(null, { hash: hashOf(grace) });
  const { page } = inbox;
  await logIn(page, USERS.agent);
  await field(page).fill("Half a sen");
  await endLogIn(page);
  await page.getByText("Your log-in has ended").waitFor();
  await logIn(page, USERS.agent);
  await field(page).waitFor();
  assert.equal(await field(page).inputValue(), "Half a sen");
  await field(page).fill("");
  await closeAll(inbox);
});

test("what was sent a moment too late is there after the next log-in, and is sent once", async () => {
  const inbox = await world.open(null, { hash: hashOf(grace) });
  const { page } = inbox;
  await logIn(page, USERS.agent);
  await field(page).waitFor();
  await inbox.context.route("**/api/messages/send", async (route) => {
    await endLogIn(page);
    await route.continue();
  }, { times: 1 });
  await answer(inbox, "Typed a moment too late.");
  await page.getByText("Your log-in has ended").waitFor();
  await logIn(page, USERS.agent);
  await page.getByRole("alert").filter({ hasText: "Not sent" }).waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await messages(inbox, "Typed a moment too late.").first().waitFor();
  await sees(inbox, "Typed a moment too late.");
  assert.equal(await page.locator(".outgoing").count(), 0);
  await world.graph.awaitSent(({ text }) => text?.body === "Typed a moment too late.");
  assert.equal(world.graph.timesSent("Typed a moment too late."), 1);
  await closeAll(inbox);
});
