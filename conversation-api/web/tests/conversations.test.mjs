// Whose a conversation is, and what everybody sees of it while that changes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answer, closeAll, departmentHash, filter, hashOf, newCustomer, row, sees } from "./lib/page.mjs";
import { CUSTOMERS } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";

const { grace, alan, barbara, edsger } = CUSTOMERS;
/** The ids of the demonstration data. */
const AMIR = 5;
const ANA = 6;
let world;
before(async () => { world = await startWorld(); });
after(() => world?.close());

const composer = ({ page }) => page.locator("#composer");
const assign = async (conversation, user) =>
  assert.equal((await world.call(USERS.manager, "POST", `/api/conversations/${conversation}/assign`, { user_id: user })).status, 200);
const readOnly = ({ page }, text) => page.locator(".read-only").filter({ hasText: text }).waitFor();
/** How many the filter says there are. */
const counts = (inbox, name, count) => filter(inbox, name).filter({ hasText: new RegExp(`^${name}\\s*${count || ""}$`) }).waitFor();

test("a conversation that is assigned to somebody is in their list at once, and can be answered", async () => {
  const ana = await world.open(USERS.agent2);
  await row(ana, alan).waitFor();
  assert.equal(await row(ana, barbara).count(), 0);
  // Its messages were received in the department before it was hers.
  await world.write(barbara, "Hello?");
  await assign(barbara.conversation, ANA);
  await row(ana, barbara).filter({ hasText: "Hello?" }).click();
  await answer(ana, "Ana here.");
  await sees(ana, "Ana here.");
  await world.write(barbara, "Hello Ana.");
  await sees(ana, "Hello Ana.");
  await assign(barbara.conversation, null);
  await closeAll(ana);
});

test("who loses an open conversation reads who has it, cannot write, and keeps the draft", async () => {
  const amir = await world.open(USERS.agent, { hash: hashOf(grace) });
  const supervisor = await world.open(USERS.supervisor);
  await composer(amir).fill("I was about to write");
  await assign(grace.conversation, ANA);
  await readOnly(amir, "has this conversation now");
  await readOnly(amir, "Ana Agent");
  assert.equal(await composer(amir).count(), 0);
  await row(amir, grace).waitFor({ state: "detached" });
  await row(supervisor, grace).filter({ hasText: "Ana Agent" }).waitFor();

  // It comes back, and so does what was begun, and what was written meanwhile is there.
  await world.write(grace, "Meanwhile.");
  await row(supervisor, grace).filter({ hasText: "Meanwhile." }).waitFor();
  assert.equal(await amir.page.locator("[data-message]").filter({ hasText: "Meanwhile." }).count(), 0);
  await assign(grace.conversation, AMIR);
  await composer(amir).waitFor();
  assert.equal(await composer(amir).inputValue(), "I was about to write");
  await sees(amir, "Meanwhile.");
  await row(supervisor, grace).filter({ hasText: "Amir Agent" }).waitFor();
  await closeAll(amir, supervisor);
});

test("what nobody has can be read by the agents of the department, and is whose takes it first", async () => {
  const customer = newCustomer("Frances Allen");
  const [amir, ana] = [await world.open(USERS.agent, { hash: departmentHash(1) }), await world.open(USERS.agent2, { hash: departmentHash(1) })];
  await world.write(customer, "Do you rent out, too?");
  const entry = ({ page }) => page.locator(".entry").filter({ hasText: "Do you rent out" });
  await entry(amir).getByRole("button", { name: "Take it" }).waitFor();

  // It is only read until somebody takes it.
  await entry(ana).getByRole("link", { name: "Open" }).click();
  await sees(ana, "Do you rent out, too?");
  await readOnly(ana, "Nobody has this conversation");
  assert.equal(await composer(ana).count(), 0);

  await entry(amir).getByRole("button", { name: "Take it" }).click();
  await entry(amir).filter({ hasText: "Yours" }).waitFor();
  await readOnly(ana, "Amir Agent has this conversation now");
  await entry(amir).getByRole("link", { name: "Open" }).click();
  await amir.page.getByRole("complementary", { name: "Details" }).getByRole("listitem").filter({ hasText: "Amir Agent (you)" }).waitFor();
  await answer(amir, "We do, by the day.");
  await sees(amir, "We do, by the day.");

  await ana.page.goto(`${world.inboxUrl}${departmentHash(1)}`);
  await entry(ana).filter({ hasText: "Amir Agent has it" }).waitFor();
  assert.equal(await entry(ana).getByRole("link").count(), 0);
  await closeAll(amir, ana);
});

test("a short outage of the backend does not keep anybody from taking a conversation", async () => {
  const customer = newCustomer("Adele Goldberg");
  const ana = await world.open(USERS.agent2);
  await filter(ana, "Unassigned").click();
  await world.write(customer, "Is it open?");
  await ana.page.locator(".row").filter({ hasText: "Adele Goldberg" }).click();
  const outage = (route) => route.fulfill({ status: 503, json: { message: "The database does not answer." } });
  await ana.context.route("**/take", outage, { times: 1 });
  await ana.page.locator(".read-only").getByRole("button", { name: "Take it" }).click();
  await composer(ana).waitFor();
  await closeAll(ana);
});

test("who comes second is shown who was faster", async () => {
  const customer = newCustomer("Jean Bartik");
  const ana = await world.open(USERS.agent2);
  await filter(ana, "Unassigned").click();
  await world.write(customer, "First come, first served?");
  await ana.page.locator(".row").filter({ hasText: "Jean Bartik" }).click();
  await sees(ana, "First come, first served?");
  // The event that somebody was faster is still on its way.
  const id = Number(new URL(ana.page.url()).hash.split("/").at(-1));
  await ana.context.route("**/take", async (route) => {
    await world.call(USERS.agent, "POST", `/api/conversations/${id}/take`);
    await route.continue();
  });
  await ana.page.locator(".read-only").getByRole("button", { name: "Take it" }).click();
  await ana.page.getByRole("alert").filter({ hasText: "Amir Agent has taken this conversation" }).waitFor();
  await readOnly(ana, "Amir Agent");
  await closeAll(ana);
});

test("filters and counts are right at once, and stay right", async () => {
  const ana = await world.open(USERS.agent2);
  const own = await (await world.call(USERS.agent2, "GET", "/api/conversations?status=open&per_page=1")).json();
  const { mine, unassigned } = own.meta.counts;
  await counts(ana, "Mine", mine);
  await counts(ana, "Unassigned", unassigned);
  const customer = newCustomer("Kathleen Booth");
  await world.write(customer, "Is anybody there?");
  await counts(ana, "Unassigned", unassigned + 1);
  await filter(ana, "Unassigned").click();
  await ana.page.locator(".row").filter({ hasText: "Kathleen Booth" }).click();
  await ana.page.locator(".read-only").getByRole("button", { name: "Take it" }).click();
  await ana.page.waitForFunction(() => document.activeElement?.id === "composer");
  await counts(ana, "Mine", mine + 1);
  await counts(ana, "Unassigned", unassigned);
  await filter(ana, "Mine").click();
  await ana.page.locator(".row").filter({ hasText: "Kathleen Booth" }).waitFor();
  await closeAll(ana);
});

test("what is resolved leaves the list, and what the customer writes brings it back", async () => {
  const amir = await world.open(USERS.agent, { hash: hashOf(grace) });
  const second = await world.open(USERS.agent);
  await row(second, grace).waitFor();
  await amir.page.getByRole("button", { name: "Resolve" }).click();
  await amir.page.getByRole("button", { name: "Reopen" }).waitFor();
  await row(second, grace).waitFor({ state: "detached" });
  await second.page.getByLabel("Status").selectOption("Resolved");
  await row(second, grace).waitFor();
  await amir.page.getByRole("button", { name: "Reopen" }).click();
  await amir.page.getByRole("button", { name: "Resolve" }).click();
  await amir.page.getByRole("button", { name: "Reopen" }).waitFor();
  await second.page.getByLabel("Status").selectOption("Open");
  await row(second, grace).waitFor({ state: "detached" });
  await world.write(grace, "One more thing.");
  await row(second, grace).filter({ hasText: "One more thing." }).waitFor();
  await amir.page.getByRole("button", { name: "Resolve" }).waitFor();
  await closeAll(amir, second);
});

test("a conversation that is moved is the other department's", async () => {
  const amir = await world.open(USERS.agent);
  const customer = newCustomer("Mary Keller");
  await world.write(customer, "My chain fell off.");
  await filter(amir, "Unassigned").click();
  await amir.page.locator(".row").filter({ hasText: "Mary Keller" }).click();
  await amir.page.locator(".read-only").getByRole("button", { name: "Take it" }).click();
  await composer(amir).waitFor();
  const aoife = await world.open(USERS.agent3);
  await filter(aoife, "Unassigned").click();
  await amir.page.getByRole("complementary", { name: "Details" }).getByLabel("Department").selectOption("Support");
  await aoife.page.locator(".row").filter({ hasText: "Mary Keller" }).click();
  await sees(aoife, "My chain fell off.");
  await readOnly(amir, "in Support now");
  await aoife.page.locator(".read-only").getByRole("button", { name: "Take it" }).click();
  await answer(aoife, "Bring it in.");
  await sees(aoife, "Bring it in.");
  await closeAll(amir, aoife);
});

test("conversations are found by name, number and text, and a link opens what the list does not hold", async () => {
  const supervisor = await world.open(USERS.supervisor);
  const search = supervisor.page.getByLabel("Search conversations");
  for (const text of ["Barbara", "1701000003", "part exchange"]) {
    await search.fill("");
    await row(supervisor, alan).waitFor();
    await search.fill(text);
    await row(supervisor, alan).waitFor({ state: "detached" });
    await row(supervisor, barbara).waitFor();
  }
  await search.fill("nothing has this text");
  await supervisor.page.getByText("Nothing was found.").waitFor();
  await supervisor.page.goto(`${world.inboxUrl}${hashOf(alan)}`);
  await sees(supervisor, "29 euros");
  await search.press("Escape");
  await row(supervisor, barbara).waitFor();
  await closeAll(supervisor);
});

test("what one page of a user has read is read in their others, and in no one else's", async () => {
  const [first, second] = [await world.open(USERS.agent3), await world.open(USERS.agent3)];
  const manager = await world.open(USERS.manager2);
  await world.write(edsger, "Are the pads there?");
  for (const inbox of [first, second, manager]) await row(inbox, edsger).locator(".badge").waitFor();
  const own = await (await world.call(USERS.agent3, "GET", "/api/conversations?status=open&per_page=1")).json();
  await second.page.waitForFunction((unread) => document.title === `(${unread}) TIMS inbox`, own.meta.counts.unread);
  await row(first, edsger).click();
  await sees(first, "Are the pads there?");
  await row(second, edsger).locator(".badge").waitFor({ state: "detached" });
  await row(manager, edsger).locator(".badge").waitFor();
  await closeAll(first, second, manager);
});

test("unread conversations are found, however many are read before them", async () => {
  // More conversations than a page of the list holds, all newer than the one that is unread.
  const old = newCustomer("Old Unread");
  await world.write(old, "Nobody has read this.");
  const others = Array.from({ length: 55 }, (_, index) => newCustomer(`Read ${index}`));
  for (const customer of others) await world.write(customer, "Read already.");
  const list = async (page) =>
    (await (await world.call(USERS.supervisor, "GET", `/api/conversations?status=open&per_page=100&page=${page}`)).json()).data;
  for (const { id, contact } of await list(1)) {
    if (contact.name !== "Old Unread") await world.call(USERS.supervisor, "POST", `/api/conversations/${id}/read`);
  }
  const supervisor = await world.open(USERS.supervisor);
  await supervisor.page.locator(".row").filter({ hasText: "Read 54" }).waitFor();
  assert.equal(await supervisor.page.locator(".row").filter({ hasText: "Old Unread" }).count(), 0);
  await supervisor.page.waitForFunction(() => document.title.startsWith("(1)"));
  await supervisor.page.getByRole("button", { name: /^Unread/ }).click();
  await supervisor.page.locator(".row").filter({ hasText: "Old Unread" }).click();
  await sees(supervisor, "Nobody has read this.");
  await supervisor.page.waitForFunction(() => document.title === "TIMS inbox");
  await closeAll(supervisor);
});

test("nothing is passed over below a list of which others have taken some meanwhile", async () => {
  // What the test before this one has left: more than a page of the list holds.
  const path = "/api/conversations?status=open&filter=unassigned&per_page=100";
  const { data } = await (await world.call(USERS.manager, "GET", path)).json();
  assert.ok(data.length > 50 && data.length < 100);
  const supervisor = await world.open(USERS.supervisor);
  await filter(supervisor, "Unassigned").click();
  const rows = supervisor.page.locator(".row");
  await rows.nth(49).waitFor();
  const taken = data.slice(0, 20);
  for (const { id } of taken) await assign(id, ANA);
  for (const { id } of taken) await row(supervisor, { conversation: id }).waitFor({ state: "detached" });
  await supervisor.page.getByRole("button", { name: "Older conversations" }).click();
  // The button stays, under another name, until they are here.
  await supervisor.page.locator(".rows button.more").waitFor({ state: "detached" });
  assert.equal(await rows.count(), data.length - taken.length);
  await closeAll(supervisor);
});
