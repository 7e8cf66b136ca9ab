// Pictures of the inbox at work: node tests/screenshots.mjs FOLDER
import { join } from "node:path";

import { answer, hashOf, listShows, sees } from "./lib/page.mjs";
import { CUSTOMERS } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";

const folder = process.argv[2] ?? ".";
const { grace, alan, barbara } = CUSTOMERS;
const world = await startWorld();

const people = ({ page }) => page.getByRole("complementary", { name: "Details" }).getByRole("listitem");

const supervisor = await world.open(USERS.supervisor, {
  hash: hashOf(grace), viewport: { width: 1120, height: 640 }, deviceScaleFactor: 1.1,
});
const agent = await world.open(USERS.agent, { hash: hashOf(grace) });
const manager = await world.open(USERS.manager, { hash: hashOf(grace) });

await answer(agent, "Of course. I have put it aside under your name, together with the basket.");
await world.write(grace, "That is very kind, thank you! Is there a lock for it, too?");
await answer(supervisor, "Hello Grace, Sol here. A lock goes with it, as it is your third bicycle from us.");
await world.write(grace, "What a lovely shop you are.");
await world.write(alan, "And is there a way to have it here by Thursday?");
await world.write(barbara, "It is a 1974 racing bicycle, in fair condition.");
await listShows(supervisor, barbara, "1974");
for (const name of ["Amir Agent", "Mara Manager"]) await people(supervisor).filter({ hasText: name }).waitFor();

/** Takes a picture of an inbox in which somebody is seen to type. */
async function picture(inbox, name, typist, typistName) {
  await sees(inbox, "What a lovely shop you are");
  await typist.page.getByRole("textbox", { name: /^Message to/ }).pressSequentially("See you ");
  await inbox.page.getByText(`${typistName} is typing…`).waitFor();
  const path = join(folder, `inbox-${name}.png`);
  await inbox.page.screenshot({ path, animations: "disabled", caret: "hide" });
  console.log(path);
}

await picture(supervisor, "desktop", agent, "Amir Agent");

const phone = await world.open(USERS.supervisor, {
  hash: hashOf(grace), viewport: { width: 390, height: 700 }, deviceScaleFactor: 1.8, isMobile: true, hasTouch: true,
  colorScheme: "dark",
});
await phone.page.getByText("Also here").waitFor({ state: "attached" });
await picture(phone, "phone", manager, "Mara Manager");

await world.close();
