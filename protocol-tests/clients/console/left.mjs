// Pages of the console that are left while answers are on their way, behind a proxy that holds them up.
import { once } from "node:events";
import { createServer, request } from "node:http";

import { equal } from "../lib/check.mjs";
import { eventually } from "../lib/wait.mjs";
import { Console, browser, origin, settings } from "./browser.mjs";

const { app, admin } = settings;

/** Which answers are held up, and how: before their head, or behind the first byte of their body. */
let hold = null;
/** Ends of answers that are held up. */
let held = [];

const proxy = createServer((asked, answer) => {
  const headers = { ...asked.headers, host: `127.0.0.1:${admin}` };
  if (headers.origin !== undefined) headers.origin = origin;
  const passed = request({ host: "127.0.0.1", port: admin, path: asked.url, method: asked.method, headers }, async (from) => {
    const parts = [];
    for await (const part of from) parts.push(part);
    const body = Buffer.concat(parts);
    const head = () => answer.writeHead(from.statusCode, from.headers);
    if (hold === null || !hold.path.test(asked.url)) return head().end(body);
    if (hold.at === "head") return held.push({ url: asked.url, end: () => head().end(body), reset: () => answer.destroy() });
    head().write(body.subarray(0, 1));
    held.push({ url: asked.url, end: () => answer.end(body.subarray(1)), reset: () => answer.destroy() });
  });
  passed.on("error", () => answer.destroy());
  asked.pipe(passed);
});
proxy.listen(0, "127.0.0.1");
await once(proxy, "listening");

const console = await Console.open({ at: `http://127.0.0.1:${proxy.address().port}` });
const { page } = console;
const heading = (name) => page.getByRole("heading", { name, level: 1 }).waitFor();

/** Requests of the page that have come to no end. */
const open = new Set();
page.on("request", (one) => open.add(one));
for (const end of ["requestfinished", "requestfailed"]) page.on(end, (one) => open.delete(one));

/** Holds up answers; those that were are sent. */
async function holding(path, at = "body") {
  for (const one of held.splice(0)) one.end();
  hold = path === null ? null : { path, at };
}
const isHeld = (what) => eventually(`an answer for ${what} that is held up`, () => held.length > 0);

/** The page that is shown stays as it is when answers come for one that was left. */
async function unmoved(what) {
  await holding(null);
  await eventually(`the end of all requests of ${what}`, () => open.size === 0);
  // What their ends set off is done before the page takes another turn.
  await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve); }));
  equal(await page.locator(".page .subject").count(), 0, `headings of ${what} on another page`);
  equal(await page.locator(".page-head .button").count(), 0, `buttons of ${what} on another page`);
  equal(new URL(page.url()).hash, "#/send", `the address after ${what}`);
  console.isWell(what);
}

// Each page, with each of its answers behind its first byte, and before its head.
const PAGES = [
  "overview", "events", "channels", `channels/${app.id}/presence-room`, "connections", `connections/${app.id}/1.1`, "trace", "apps", `apps/${app.id}`,
  "apps/made", "apps/made/edit", "webhooks", "doctor",
];
for (const hash of PAGES) {
  for (const at of ["body", "head"]) {
    await console.go("#/send");
    await heading("Send an event");
    // It asks for the apps, too.
    await page.locator(".page select:enabled").waitFor();
    await holding(/^\/api\/(?!whoami)/, at);
    await console.go(`#/${hash}`);
    await isHeld(hash);
    await console.go("#/send");
    await heading("Send an event");
    await unmoved(`${hash}, held at the ${at}`);
  }
}
process.stdout.write("left\n");

// An app that has come, and the configuration that has not.
await holding(/^\/api\/config/, "head");
const arrived = page.waitForResponse((response) => response.url().endsWith("/api/apps/made"));
await console.go("#/apps/made");
await (await arrived).finished();
await isHeld("an app");
await console.go("#/send");
await heading("Send an event");
await unmoved("an app without the configuration");
process.stdout.write("half\n");

// An answer that breaks off is no empty one.
await holding(/^\/api\/apps\/made$/);
await console.go("#/apps/made");
await isHeld("an app");
for (const one of held.splice(0)) one.reset();
await console.sees("The relay's answer broke off");
await holding(null);
await page.getByRole("button", { name: "Try again" }).click();
await page.getByRole("heading", { name: "Keys", exact: true }).waitFor();
process.stdout.write("broken\n");

// A key pair that was asked for is shown, although the page was left.
await holding(/^\/api\/apps\/made\/rotate$/);
await page.getByRole("button", { name: "Rotate keys" }).click();
await page.getByRole("button", { name: "Make a pair" }).click();
await isHeld("a rotation");
await console.go("#/send");
await heading("Send an event");
await holding(null);
await page.getByRole("dialog").getByText("The new pair").waitFor();
await page.getByRole("button", { name: "I have kept it" }).click();
await heading("Send an event");
process.stdout.write("changed\n");

// What goes wrong is shown, too.
await holding(/^\/api\/apps$/);
await console.go("#/apps?new=app");
await page.getByLabel("Id", { exact: true }).fill("made");
await page.getByRole("button", { name: "Make the app" }).click();
await isHeld("a new app");
await console.go("#/send");
await heading("Send an event");
await Promise.all([page.locator(".note.bad").waitFor(), holding(null)]);
process.stdout.write("refused\n");

// Before it is known which apps there are, nothing is sent to one.
for (const [hash, names] of [["send", ["Send"]], ["connections", ["Close all of the app", "Close the user's"]]]) {
  await console.go("#/trace");
  await heading("Trace");
  await page.locator(".page select:enabled").first().waitFor();
  await holding(/^\/api\/apps\?/, "head");
  await console.go(`#/${hash}`);
  await isHeld(hash);
  const buttons = names.map((name) => page.getByRole("button", { name, exact: true }));
  for (const button of buttons) equal(await button.isDisabled(), true, `whether a button of ${hash} waits`);
  await holding(null);
  for (const button of buttons) await eventually("a button that works", () => button.isEnabled());
}
process.stdout.write("chosen\n");

// What was typed just before a page was left opens no stream.
await holding(/^\/api\/tickets$/, "head");
const first = page.waitForRequest("**/api/tickets");
await console.go("#/events");
await first;
await isHeld("a ticket");
let tickets = 0;
page.on("request", (one) => { if (one.url().endsWith("/api/tickets")) tickets += 1; });
// In one step, as it is about less than a second; a timer that begins later ends later.
await page.getByRole("textbox", { name: "Event" }).evaluate((input) => {
  input.value = "typed";
  input.dispatchEvent(new Event("input"));
  location.hash = "#/send";
  return new Promise((resolve) => { setTimeout(resolve, 500); });
});
equal(tickets, 0, "streams that were asked for");
process.stdout.write("typed\n");

await console.close();
await browser.close();
proxy.closeAllConnections();
proxy.close();
