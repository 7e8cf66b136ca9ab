// What a person sees and does on the page.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const hashOf = ({ conversation }) => `#/conversation/${conversation}`;
export const departmentHash = (id) => `#/department/${id}`;

/** The messages of the open conversation or department with this text. */
export const messages = ({ page }, text) => page.locator("[data-message]").filter({ hasText: text });

/** A row of the list. */
export const row = ({ page }, { conversation }) => page.locator(`[data-conversation="${conversation}"]`);

/** Waits until a message is shown, once. */
export async function sees(inbox, text) {
  await messages(inbox, text).first().waitFor();
  assert.equal(await messages(inbox, text).count(), 1, `"${text}" is shown once`);
}

/** Waits until the list shows a message as the last one of a conversation. */
export const listShows = (inbox, customer, text) => row(inbox, customer).filter({ hasText: text }).waitFor();

/** Writes an answer into the open conversation. */
export async function answer({ page }, text) {
  await page.getByRole("textbox", { name: /^Message to / }).fill(text);
  await page.getByRole("button", { name: "Send", exact: true }).click();
}

/** How often a text has come over the page's WebSockets. */
export const timesHeard = ({ frames }, text) => frames.filter((frame) => frame.includes(text)).length;

/** Whether the page shows a text anywhere. */
export const shows = async ({ page }, text) => (await page.locator("body").textContent()).includes(text);

/** Closes inboxes, in whose pages nothing may have failed. */
export async function closeAll(...inboxes) {
  for (const { faults, close } of inboxes) {
    await close();
    assert.deepEqual(faults, [], "errors in a page");
  }
}

/** Fails when axe finds something serious in what is on the screen. */
export async function isAccessible({ page }, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const found = serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`);
  assert.deepEqual(found, [], `what axe finds in ${what}`);
}

/** One of the filters of the list. */
export const filter = ({ page }, name) => page.getByRole("group", { name: "Whose conversations" }).getByRole("button", { name });

let customers = 0;

/** Somebody who has never written. */
export function newCustomer(name) {
  customers += 1;
  return { phone: `4917020${String(customers).padStart(5, "0")}`, name };
}
