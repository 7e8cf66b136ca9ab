// Apps made, changed and removed with the console's forms; webhooks that are tested there; and the doctor.
import Client from "pusher-js-8";

import { equal, ok } from "../lib/check.mjs";
import { eventually } from "../lib/wait.mjs";
import { Console, browser, origin, settings } from "./browser.mjs";

const { app, host, port, read, token } = settings;
const ID = "shop-7";

/** What the API says. */
async function api(path) {
  const answer = await fetch(`${origin}/api/${path}`, { headers: { Authorization: `Bearer ${token}` } });
  return answer.status === 200 ? answer.json() : answer.status;
}

/** What is wrong stands at a field, which has the focus. */
async function wrongAt(page, label, text) {
  const field = page.getByLabel(label, { exact: true });
  await page.locator("[aria-invalid=true]").waitFor();
  equal(await field.getAttribute("aria-invalid"), "true", `whether ${label} is shown as wrong`);
  const described = (await field.getAttribute("aria-describedby")).split(" ").at(-1);
  const said = await page.locator(`#${described}`).textContent();
  ok(said.toLowerCase().includes(text), `at ${label} stands ${said}`);
  ok(await field.evaluate((element) => element === document.activeElement), `${label} has the focus`);
}

async function made() {
  const console = await Console.open({ hash: "#/apps" });
  const { page } = console;
  await page.getByRole("link", { name: "New app" }).click();
  await page.getByLabel("Id", { exact: true }).fill("not an id");
  await page.getByLabel("Origins").fill("https://shop.example.com\nhttps://*.example.org");
  await page.getByLabel("Connections at most").fill("500");
  await page.getByLabel("Client events").check();
  await page.getByRole("button", { name: "Make the app" }).click();
  await wrongAt(page, "Id", "expected");
  await console.isAccessible("a form with a mistake");
  await page.getByLabel("Id", { exact: true }).fill(ID);
  await page.getByRole("button", { name: "Make the app" }).click();
  const dialog = page.getByRole("dialog", { name: "The app is made" });
  await dialog.waitFor();
  await console.isAccessible("a new secret");
  const { keys, allowed_origins, limits, client_events } = await api(`apps/${ID}?secrets=true`);
  equal([allowed_origins, limits.max_connections, client_events], [["https://shop.example.com", "https://*.example.org"], 500, true], "what was made");
  ok((await dialog.textContent()).includes(keys[0].secret), "the secret is shown");
  await console.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await dialog.getByRole("button", { name: "Copy the secret" }).click();
  await eventually("the secret in the clipboard", async () => await page.evaluate(() => navigator.clipboard.readText()) === keys[0].secret);
  await page.keyboard.press("Escape");
  await page.getByRole("heading", { name: ID }).waitFor();
  ok(!(await page.locator("body").textContent()).includes(keys[0].secret), "the secret is hidden again");
  // The same id once more.
  await console.go("#/apps?new=app");
  await page.getByLabel("Id", { exact: true }).fill(ID);
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: ID }).waitFor();
  await console.close();
}

async function changed() {
  const console = await Console.open({ hash: `#/apps/${ID}` });
  const { page } = console;
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByLabel("max_connections", { exact: true }).fill("");
  await page.getByLabel("Watchlist", { exact: true }).check();
  await page.getByText("More limits").click();
  await page.getByLabel("cache_ttl", { exact: true }).fill("7");
  await page.getByText("More limits").click();
  await page.getByRole("button", { name: "Add a webhook" }).click();
  await page.getByLabel("Address", { exact: true }).fill("not an address");
  await page.getByLabel("Headers").fill("X-Shop: seven");
  await page.getByRole("button", { name: "Save" }).click();
  await wrongAt(page, "Address", "expected");
  await console.isAccessible("an app's form with a mistake");
  await page.getByLabel("Address", { exact: true }).fill("http://127.0.0.1:9/hidden?path");
  // A limit that does not fit, in a part that is shut.
  await page.getByText("More limits").click();
  await page.getByLabel("channel_name_length", { exact: true }).fill("100000");
  await page.getByText("More limits").click();
  await page.getByRole("button", { name: "Save" }).click();
  await wrongAt(page, "channel_name_length", "expected");
  await page.getByLabel("channel_name_length", { exact: true }).fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await console.sees("The changes are saved");
  await page.getByRole("heading", { name: "Settings" }).waitFor();
  let now = await api(`apps/${ID}?secrets=true`);
  equal([now.limits.max_connections, now.limits.cache_ttl, now.watchlist, now.client_events], [0, 7, true, true], "what was changed, and what was not");
  // Of what is hidden elsewhere nothing is lost when something else is changed.
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByLabel("Origins").fill("https://shop.example.com");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "Settings" }).waitFor();
  now = await api(`apps/${ID}?secrets=true`);
  equal(now.allowed_origins, ["https://shop.example.com"], "origins");
  const [webhook] = now.webhook_settings;
  equal([webhook.url, webhook.headers], ["http://127.0.0.1:9/hidden?path", { "X-Shop": "seven" }], "the webhook");
  await console.close();
}

async function turnedOffAndOn() {
  const { keys: [{ key }] } = await api(`apps/${ID}?secrets=true`);
  const options = { cluster: "", wsHost: host, wsPort: port, forceTLS: false, enabledTransports: ["ws"] };
  const console = await Console.open({ hash: `#/apps/${ID}/edit` });
  const { page } = console;
  // From here no browser's page connects: programs do.
  await page.getByLabel("Clients without an origin").check();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "Settings" }).waitFor();
  const client = new Client(key, options);
  await eventually("a connection", () => client.connection.state === "connected");
  const codes = [];
  client.connection.bind("error", (error) => codes.push(error.data?.code ?? error.error?.data?.code));
  await page.getByRole("button", { name: "Disable" }).click();
  await page.keyboard.press("Escape");
  equal((await api(`apps/${ID}`)).enabled, true, "after a question that was not answered");
  await page.getByRole("button", { name: "Disable" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
  await console.sees("The app is disabled.");
  await eventually("the end of the connection", () => codes.includes(4003));
  client.disconnect();
  await page.getByRole("button", { name: "Enable" }).click();
  await console.sees("The app is enabled.");
  equal((await api(`apps/${ID}`)).enabled, true, "whether it is enabled");
  await console.close();
}

async function rotated() {
  const console = await Console.open({ hash: `#/apps/${ID}` });
  const { page } = console;
  const [{ key: before }] = (await api(`apps/${ID}?secrets=true`)).keys;
  await page.getByRole("button", { name: "Rotate keys" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Make a pair" }).click();
  const dialog = page.getByRole("dialog", { name: "The new pair" });
  await dialog.waitFor();
  const [own, old] = (await api(`apps/${ID}?secrets=true`)).keys;
  equal(old.key, before, "the old key");
  ok((await dialog.textContent()).includes(own.secret), "the new secret is shown");
  await dialog.getByRole("button", { name: "I have kept it" }).click();
  await page.getByRole("button", { name: `Remove the key ${before}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove the key" }).click();
  await console.sees("The key is accepted no more.");
  equal((await api(`apps/${ID}?secrets=true`)).keys.map(({ key }) => key), [own.key], "keys that are accepted");
  await console.close();
}

async function deleted() {
  const console = await Console.open({ hash: `#/apps/${ID}` });
  const { page } = console;
  await page.getByRole("button", { name: "Delete" }).click();
  const dialog = page.getByRole("dialog");
  await console.isAccessible("the question before an app is deleted");
  const go = dialog.getByRole("button", { name: "Delete the app" });
  await dialog.getByRole("textbox").fill("shop");
  ok(await go.isDisabled(), "another name deletes nothing");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  equal((await api(`apps/${ID}`)).id, ID, "the app after Escape");
  await page.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("textbox").fill(ID);
  await go.click();
  await console.sees("The app is deleted.");
  await page.getByRole("link", { name: "New app" }).waitFor();
  equal(await api(`apps/${ID}`), 404, "the app");
  await console.close();
}

/** Apps of the file are shown with the reason why they are not changed here; and who only looks finds no forms. */
async function readOnly() {
  const console = await Console.open({ hash: `#/apps/${app.id}` });
  const { page } = console;
  const change = /^(Edit|Rotate keys|Disable|Delete|New app)$/;
  const buttons = async (within) => await within.getByRole("button", { name: change }).count() + await within.getByRole("link", { name: change }).count();
  await console.sees("is changed there");
  equal(await buttons(page), 0, "ways to change an app of the file");
  await console.close();
  const reader = await Console.open({ token: read, hash: "#/apps/made" });
  await reader.page.getByRole("heading", { name: "made" }).waitFor();
  equal(await buttons(reader.page), 0, "ways to change something for one who reads");
  // By way of another page, as what is waited for is on this one, too.
  await reader.go("#/apps");
  await reader.row("made").waitFor();
  equal(await buttons(reader.page), 0, "ways to make an app for one who reads");
  await reader.go("#/apps/made/edit");
  await reader.page.getByRole("heading", { name: "Settings" }).waitFor();
  equal(await reader.page.getByRole("button", { name: "Save" }).count(), 0, "a form for one who reads");
  await reader.go("#/apps?new=app");
  await reader.row("made").waitFor();
  equal(await reader.page.getByRole("button", { name: "Make the app" }).count(), 0, "a form for a new app for one who reads");
  await reader.go(`#/webhooks?app=${app.id}`);
  await reader.sees("channel_occupied");
  equal(await reader.page.getByRole("button", { name: /test/ }).count(), 0, "tests for one who reads");
  await reader.go("#/doctor");
  await reader.sees("Asking takes a token of the role write");
  equal(await reader.page.getByRole("textbox").count(), 0, "fields for one who reads");
  await reader.close();
}

async function webhooks() {
  const client = new Client(app.key, { cluster: "", wsHost: host, wsPort: port, forceTLS: false, enabledTransports: ["ws"] });
  client.subscribe("occupied");
  const console = await Console.open({ hash: `#/webhooks?app=${app.id}` });
  const { page } = console;
  await console.sees("failing");
  await page.getByText(/failures?, the newest first/).click();
  const table = page.getByRole("region", { name: /^Failures of/ });
  await table.getByText("channel_occupied").first().waitFor();
  await table.getByText(/refused/i).first().waitFor();
  await console.isAccessible("failures of a webhook");
  await page.getByRole("button", { name: /^Send a test to webhook 1/ }).click();
  await console.sees(/Not taken after/);
  // One that comes later than a moment is taken, and the next one refused.
  await eventually("the refusal of a test that comes too soon", async () => {
    await page.getByRole("button", { name: /^Send a test to webhook 1/ }).click();
    await page.locator(".test-result .verdict").first().waitFor();
    return page.getByText(/a moment ago/).isVisible();
  });
  // A test is shown while the numbers around it change.
  const button = await page.getByRole("button", { name: /^Send a test to webhook 1/ }).elementHandle();
  await eventually("another failure", async () => Number(await page.locator(".figures dd").nth(2).textContent()) > 1);
  const waiting = page.locator(".figures dd").first(), before = await waiting.textContent();
  client.subscribe("occupied-too");
  await eventually("another number of events that wait", async () => await waiting.textContent() !== before);
  ok(await button.evaluate(({ isConnected }) => isConnected), "the button is the same one");
  await console.sees(/a moment ago/);
  client.disconnect();
  await console.close();
}

async function doctor() {
  const console = await Console.open({ hash: `#/doctor?app=${app.id}` });
  const { page } = console;
  await console.sees("Nobody has asked");
  const url = page.getByLabel("Address that clients are given");
  await eventually("the address as the configuration has it", async () => /^ws:/.test(await url.inputValue()));
  await url.fill("ftp://nowhere");
  await page.getByRole("button", { name: "Run checks" }).click();
  await wrongAt(page, "Address that clients are given", "wss://host");
  await url.fill(`ws://${host}:${port}`);
  await page.getByRole("button", { name: "Run checks" }).click();
  const found = page.getByRole("region", { name: "What was found" });
  for (const id of ["dns", "tcp", "http", "signature", "upgrade", "private", "presence", "webhook"]) await found.getByText(id, { exact: true }).waitFor();
  const hook = found.getByRole("listitem").filter({ hasText: "webhook" }).last();
  ok((await hook.textContent()).includes("What to do"), "what is wrong has a remedy");
  await found.getByText("1 error").waitFor();
  await console.isAccessible("findings");
  await page.reload();
  await found.getByText("signature", { exact: true }).waitFor();
  // One that takes long is stopped.
  await eventually("another run", async () => {
    await page.getByLabel("Wait for silence to be cut off").check();
    await page.getByLabel("Address that clients are given").fill(`ws://${host}:${port}`);
    await page.getByRole("button", { name: "Run checks" }).click();
    return found.getByText("looking…").isVisible();
  });
  await console.stays("the button", page.getByRole("button", { name: "Stop" }), /^\/api\/doctor$/);
  await page.getByRole("button", { name: "Stop" }).click();
  await found.getByText("It ended early: it was stopped.").waitFor();
  await console.close();
}

const PARTS = { made, changed, turnedOffAndOn, rotated, deleted, readOnly, webhooks, doctor };
const wanted = process.argv.slice(2);
for (const [name, part] of Object.entries(PARTS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  try {
    await part();
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  }
  process.stdout.write(`${name}\n`);
}
await browser.close();
