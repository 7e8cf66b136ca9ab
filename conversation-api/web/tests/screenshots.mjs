// Pictures of the inbox at work: node tests/screenshots.mjs FOLDER
import { join } from "node:path";

import { answer, departmentHash, hashOf, listShows, messages, newCustomer, sees } from "./lib/page.mjs";
import { png } from "./lib/png.mjs";
import { CUSTOMERS, statusReport } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";

const folder = process.argv[2] ?? ".";
const { grace, alan, barbara } = CUSTOMERS;
const world = await startWorld();

const people = ({ page }) => page.getByRole("complementary", { name: "Details" }).getByRole("listitem");

/** A sky over hills, which nobody has a right to. */
const VIEW = png(480, 360, (x, y) => {
  const hill = 230 + 28 * Math.sin(x / 70) + 12 * Math.sin(x / 23);
  if (y > hill + 50) return [58, 110 - (y - hill) / 8, 70];
  if (y > hill) return [88, 148 - (y - hill) / 3, 96];
  return [120 + y / 3, 170 + y / 5, 225];
});

async function take(inbox, name) {
  const path = join(folder, `inbox-${name}.png`);
  await inbox.page.screenshot({ path, animations: "disabled", caret: "hide" });
  console.log(path);
}

/** Takes a picture of an inbox in which somebody is seen to type. */
async function picture(inbox, name, typist, typistName) {
  await sees(inbox, "What a lovely shop you are");
  await typist.page.getByRole("textbox", { name: /^Message to/ }).pressSequentially("See you ");
  await inbox.page.getByText(`${typistName} is typing…`).waitFor();
  await take(inbox, name);
}

const supervisor = await world.open(USERS.supervisor, {
  hash: hashOf(grace), viewport: { width: 1240, height: 720 }, deviceScaleFactor: 1.1,
});
const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
const manager = await world.open(USERS.manager, { hash: hashOf(grace) });

world.graph.keep("view", "image/png", VIEW);
await world.write(grace, { type: "image", image: { id: "view", mime_type: "image/png", sha256: "x", caption: "This is where it *will* take me." } });
await answer(agent, "I have put it aside under your name, together with the basket.");
const sent = await world.graph.awaitSent(({ text }) => text?.body.includes("put it aside"));
await world.deliver(statusReport(sent.id, "read"));
await supervisor.page.getByRole("button", { name: "Note", exact: true }).click();
await supervisor.page.getByRole("textbox", { name: /^Note about/ }).fill("Her third bicycle from us: the lock goes with it.");
await supervisor.page.getByRole("button", { name: "Add note" }).click();
await sees(agent, "Her third bicycle");
await answer(agent, "And a lock goes with it, as it is your third one.");
await world.write(grace, "What a lovely shop you are.");
for (const [name, text] of [["Frances Allen", "Do you rent out, too?"], ["Jean Bartik", "Are you open on Saturday?"]]) {
  await world.write(newCustomer(name), text);
}
await world.write(alan, "And is there a way to have it here by Thursday?");
await world.write(barbara, "It is a 1974 racing bicycle, in fair condition.");
await listShows(supervisor, barbara, "1974");
for (const name of ["Amir Agent", "Mara Manager"]) await people(supervisor).filter({ hasText: name }).waitFor();
await messages(supervisor, "put it aside").locator(".delivery.read").waitFor();
await messages(supervisor, "take me").locator("img").waitFor();
await picture(supervisor, "desktop", agent, "Amir Agent");

const phone = await world.open(USERS.supervisor, {
  hash: hashOf(grace), viewport: { width: 390, height: 700 }, deviceScaleFactor: 1.8, isMobile: true, hasTouch: true,
  colorScheme: "dark",
});
await phone.page.getByText("Also here").waitFor({ state: "attached" });
await picture(phone, "phone", manager, "Mara Manager");

const colleague = await world.open(USERS.agent2, {
  hash: departmentHash(1), viewport: { width: 1240, height: 720 }, deviceScaleFactor: 1.1,
});
await world.write(grace, "One more question: do you have gloves?");
await colleague.page.locator(".entry").filter({ hasText: "gloves" }).filter({ hasText: "Amir Agent has it" }).waitFor();
await take(colleague, "department");

await world.close();
