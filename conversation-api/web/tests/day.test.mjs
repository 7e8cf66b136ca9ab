// A team's day: a new customer, who answers, and what becomes of it, on a desktop and on a phone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answer, closeAll, departmentHash, filter, isAccessible, messages, newCustomer, sees } from "./lib/page.mjs";
import { png } from "./lib/png.mjs";
import { statusReport } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";

let world;
before(async () => { world = await startWorld(); });
after(() => world?.close());

const SIZES = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, colorScheme: "dark" },
};

for (const [size, options] of Object.entries(SIZES)) {
  test(`from a customer's first message to the next one after it is resolved, on a ${size}`, async () => {
    const customer = newCustomer(size === "phone" ? "Sister Mary" : "Ida Rhodes");
    const rowOf = ({ page }) => page.locator(".row").filter({ hasText: customer.name });
    const toList = async ({ page }) => {
      if (size === "phone" && (await page.getByRole("link", { name: "Back to the list" }).isVisible())) {
        await page.getByRole("link", { name: "Back to the list" }).click();
      }
    };
    const details = async ({ page }, work) => {
      const panel = page.getByRole("complementary", { name: "Details" });
      if (size === "phone") await page.getByRole("button", { name: "Details", exact: true }).click();
      await work(panel);
      if (size === "phone") await page.getByRole("button", { name: "Close details" }).click();
    };

    const amir = await world.open(USERS.agent, { ...options, hash: departmentHash(1) });
    const ana = await world.open(USERS.agent2, { ...options, hash: departmentHash(1) });
    const aoife = await world.open(USERS.agent3, options);
    const supervisor = await world.open(USERS.supervisor, { ...options, hash: departmentHash(1) });
    const manager = await world.open(USERS.manager, options);

    // Somebody new writes: the department sees it, and one agent takes it.
    await world.write(customer, "Good morning, do you repair old bicycles?");
    const entry = ({ page }) => page.locator(".entry").filter({ hasText: customer.name }).first();
    for (const inbox of [amir, ana, supervisor]) await entry(inbox).filter({ hasText: "do you repair" }).waitFor();
    await isAccessible(amir, "the department's feed");
    await entry(amir).getByRole("button", { name: "Take it" }).click();
    await entry(ana).filter({ hasText: "Amir Agent has it" }).waitFor();
    await entry(supervisor).filter({ hasText: "Amir Agent has it" }).waitFor();

    // The answer goes out, and its ticks come back.
    await entry(amir).getByRole("link", { name: "Open" }).click();
    await answer(amir, `Good morning ${customer.name}! Of *any* age.`);
    const sent = await world.graph.awaitSent(({ text, to }) => to === customer.phone && text?.body.includes("Of *any* age."));
    await world.deliver(statusReport(sent.id, "read"));
    await messages(amir, "Of any age.").locator(".delivery.read").waitFor();

    // A picture arrives, in the colleagues' pages, too.
    world.graph.keep(`picture-${size}`, "image/png", png(200, 150, [180, 90, 40]));
    await world.write(customer, { type: "image", image: { id: `picture-${size}`, mime_type: "image/png", sha256: "x", caption: "It looks like this." } });
    await messages(amir, "It looks like this.").locator("img").waitFor();
    await isAccessible(amir, "a conversation");
    await entry(supervisor).filter({ hasText: "It looks like this." }).waitFor();

    // The manager gives it to somebody else.
    await rowOf(manager).click();
    await details(manager, (panel) => panel.getByLabel("Assigned to").selectOption("Ana Agent"));
    await amir.page.locator(".read-only").waitFor();
    await toList(ana);
    await ana.page.getByRole("link", { name: "Conversations", exact: true }).click();
    await rowOf(ana).click();
    await sees(ana, "It looks like this.");
    await answer(ana, "The workshop will have a look.");
    await sees(manager, "The workshop will have a look.");

    // It is the other department's business.
    await details(ana, (panel) => panel.getByLabel("Department").selectOption("Support"));
    await ana.page.locator(".read-only").filter({ hasText: "in Support now" }).waitFor();
    await isAccessible(ana, "a conversation that is lost");
    await filter(aoife, "Unassigned").click();
    await rowOf(aoife).click();
    await sees(aoife, "The workshop will have a look.");
    await aoife.page.locator(".read-only").getByRole("button", { name: "Take it" }).click();
    await answer(aoife, "We can do it on Monday.");
    await sees(aoife, "We can do it on Monday.");

    // It is resolved, and comes back to whom the customer knows.
    await aoife.page.getByRole("button", { name: "Resolve" }).click();
    await aoife.page.getByRole("button", { name: "Reopen" }).waitFor();
    await toList(aoife);
    await filter(aoife, "Mine").click();
    await aoife.page.goto(`${world.inboxUrl}#/`);
    await rowOf(aoife).waitFor({ state: "detached" });
    await world.write(customer, "Monday is perfect.");
    await rowOf(aoife).filter({ hasText: "Monday is perfect." }).click();
    await sees(aoife, "Monday is perfect.");
    await sees(aoife, "do you repair old bicycles?");
    await aoife.page.locator("#composer").waitFor();

    for (const { page } of [amir, ana, aoife, supervisor, manager]) {
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, "nothing sticks out");
    }
    await closeAll(amir, ana, aoife, supervisor, manager);
  });
}
