// The doctor's page while the relay is restarted, which whoever reads the lines of this program does for each `restart`: what is
// shown is of the relay that is there.
import { equal } from "../lib/check.mjs";
import { eventually } from "../lib/wait.mjs";
import { Console, browser, origin, settings } from "./browser.mjs";

const { app, host, port, token } = settings;
const headers = { Authorization: `Bearer ${token}` };
const url = `ws://${host}:${port}`;

/** The last run, as the relay has it. */
async function last() {
  const answer = await fetch(`${origin}/api/doctor`, { headers });
  return (await answer.json()).run;
}

const console = await Console.open({ hash: `#/doctor?app=${app.id}` });
const { page } = console;
const found = page.getByRole("region", { name: "What was found" });
const button = page.getByRole("button", { name: "Run checks" });

/** What lets the page's looks pass, while they are held up: before the relay is asked, or behind its answer. */
let pass = null, isAnswered = false, held = 0;
await page.route("**/api/doctor", async (route) => {
  if (pass === null) return route.continue();
  const response = isAnswered ? await route.fetch() : undefined;
  held += 1;
  await pass.promise;
  return response === undefined ? route.continue() : route.fulfill({ response });
});

/** Has the relay restarted between two looks of the page, and something done before the second. */
async function restart(before) {
  pass = Promise.withResolvers();
  held = 0;
  await eventually("the page's next look", () => held > 0);
  process.stdout.write("restart\n");
  await eventually("the relay to be back", async () => await last().catch(() => undefined) === null);
  await before();
  pass.resolve();
  pass = null;
}

await page.getByLabel("Address that clients are given").fill(url);
await button.click();
await found.getByText("signature", { exact: true }).waitFor();
await found.getByText("presence", { exact: true }).waitFor();

// The page sees that nobody has asked; then somebody does, for the first time again.
await restart(() => {});
await found.getByText("Nobody has asked").waitFor();
await button.click();
await found.getByText("presence", { exact: true }).waitFor();

// Somebody else has asked before the page looks.
await restart(async () => {
  const body = JSON.stringify({ url: `${url}/elsewhere` });
  const answer = await fetch(`${origin}/api/apps/${app.id}/doctor`, { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body });
  equal(answer.status, 202, "what is answered to whoever asks");
  await eventually("the end of the run", async () => (await last()).ended_at !== null);
});
await found.getByText("path_prefix", { exact: true }).waitFor();
equal(await found.getByText("presence", { exact: true }).count(), 0, "findings of the run before");
equal(await found.getByRole("listitem").count(), (await last()).findings.length, "findings");

// A look that was answered before a run began, and comes afterwards, shows nothing of the run before.
isAnswered = true;
pass = Promise.withResolvers();
held = 0;
await eventually("an answer", () => held > 0);
await page.getByLabel("Address that clients are given").fill(`${url}/another`);
await button.click();
const shown = found.getByRole("heading", { level: 2 });
await eventually("the next run", async () => await shown.textContent() === `${url}/another`);
const late = page.waitForResponse((response) => response.url().endsWith("/api/doctor"));
pass.resolve();
pass = null;
await (await late).finished();
equal(await shown.textContent(), `${url}/another`, "whose findings are shown");
await console.close();
await browser.close();
process.stdout.write("shown\n");
