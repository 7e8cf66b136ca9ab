// The console of a relay with more apps than one of its lists has.
import { equal } from "../lib/check.mjs";
import { eventually } from "../lib/wait.mjs";
import { Console, browser } from "./browser.mjs";

const LAST = "z-1199";
const console = await Console.open();
const { page } = console;

// The overview has a thousand, and finds the others.
await console.sees("the first 1,000 of 1,201");
const search = page.getByLabel("Ids that begin with…");
await search.fill(LAST);
await console.row(LAST).waitFor();
await console.sees("1 app that begins so");
// It stays found when the numbers come again.
await eventually("the next numbers", async () => {
  const answer = await page.waitForResponse((response) => response.url().includes("/api/apps?"));
  return answer.url().includes(`prefix=${LAST}`);
});
await console.row(LAST).waitFor();
await search.fill("");
await console.sees("the first 1,000 of 1,201");

// So does the list of apps, from an address that was passed on, too.
await console.go(`#/apps?q=${LAST}`);
await console.row(LAST).waitFor();
await page.getByLabel("Ids that begin with…").fill("z-119");
await console.sees("10 apps that begin so");

// And a choice of an app.
await console.go("#/channels");
await page.getByLabel("Apps whose ids begin with").fill(LAST);
const choice = page.getByLabel("App", { exact: true });
await eventually("the app among the choices", async () => (await choice.locator("option").allTextContents()).includes(LAST));
await choice.selectOption(LAST);
await eventually("the app in the address", () => page.url().includes(`app=${LAST}`));
equal(await choice.inputValue(), LAST, "what is chosen");
await console.isAccessible("a choice of many apps");
await console.close();
await browser.close();
process.stdout.write("found\n");
