// A console in headless Chromium, and what is asserted of it everywhere.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

import { equal, ok } from "../lib/check.mjs";
import { PATIENCE_MS } from "../lib/wait.mjs";

export const settings = JSON.parse(process.env.CLIENT_TEST);
export const origin = `http://127.0.0.1:${settings.admin}`;

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--disable-background-networking", "--disable-gpu", "--no-first-run"],
  chromiumSandbox: false,
});

/** A tab of its own with the console, whose requests and errors are looked at when it is closed. */
export class Console {
  #trouble = [];

  /** `at`: the origin of something before the listener, where it is not asked itself. */
  static async open({ token = settings.token, hash = "#/overview", at = origin, ...options } = {}) {
    const own = new Console();
    own.context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    if (token !== null) await own.context.addInitScript((text) => sessionStorage.setItem("fanfare.token", text), token);
    own.page = await own.context.newPage();
    own.page.setDefaultTimeout(PATIENCE_MS);
    own.page.on("pageerror", (error) => own.#trouble.push(String(error)));
    own.page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol !== "data:" && url.host !== new URL(at).host) own.#trouble.push(`a request to ${url}`);
    });
    own.page.on("console", (message) => {
      if (/Content Security Policy/i.test(message.text())) own.#trouble.push(message.text());
    });
    own.page.on("dialog", async (dialog) => { own.#trouble.push(`a script ran: ${dialog.message()}`); await dialog.dismiss(); });
    await own.page.goto(`${at}/${hash}`);
    return own;
  }

  /** Goes to an address as a link does. */
  async go(hash) {
    await this.page.evaluate((hash) => { location.hash = hash; }, hash);
  }

  /** Waits until a text can be seen. */
  async sees(text, within = this.page.locator("body")) {
    await within.getByText(text).first().waitFor();
  }

  row(text) {
    return this.page.locator(".list-body").getByRole("row").filter({ hasText: text }).first();
  }

  /** An element keeps the focus when the page has drawn another answer from this path: clicks are lost, too, with one that is taken out. */
  async stays(what, locator, path) {
    const element = await locator.elementHandle();
    await element.focus();
    // With the second answer the first is drawn.
    for (let times = 0; times < 2; times += 1) await this.page.waitForResponse((response) => path.test(new URL(response.url()).pathname));
    ok(await element.evaluate((one) => one === document.activeElement), `${what} keeps the focus`);
  }

  /** What axe finds that is serious. */
  async isAccessible(what) {
    await this.page.evaluate(axe);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    const told = serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html}\n  ${failureSummary}`).join("\n")}`);
    equal(told, [], `what axe finds on ${what}`);
  }

  async fits(what) {
    const [inner, scrolled] = await this.page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
    ok(scrolled <= inner, `${what} is ${scrolled} pixels wide in a window of ${inner}`);
  }

  isWell(what) {
    equal(this.#trouble, [], `errors, and requests to others, of ${what}`);
  }

  async close() {
    await this.context.close();
    this.isWell("the whole tab");
  }
}
