// A console in headless Chromium, and what is asserted of it everywhere.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

import { equal, ok } from "../lib/check.mjs";
import { PATIENCE_MS, eventually, pause } from "../lib/wait.mjs";

export const settings = JSON.parse(process.env.CLIENT_TEST);
export const origin = `http://127.0.0.1:${settings.admin}`;

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--disable-background-networking", "--disable-gpu", "--no-first-run"],
  chromiumSandbox: false,
});

/** The most that a page may jump: what Web Vitals call good. */
const STEADY = 0.1;

const QUIET_MS = 300;

/** Runs in the page: notes what moves where nobody has just touched anything. */
function noteJumps() {
  const described = ({ node, previousRect: from, currentRect: to }) => {
    const element = node?.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    const name = element ? `${element.localName}.${element.className}` : "something that is gone";
    return `${name} from ${from.x},${from.y} ${from.width}x${from.height} to ${to.x},${to.y} ${to.width}x${to.height}`;
  };
  new PerformanceObserver((list) => {
    for (const { value, startTime, hadRecentInput, sources } of list.getEntries()) {
      if (hadRecentInput) continue;
      const page = location.hash.split("?")[0];
      globalThis.noteJump({ page, at: performance.timeOrigin + startTime, value, moved: sources.map(described) });
    }
  }).observe({ type: "layout-shift", buffered: true });
}

/** The jumps that are the worst together, as CLS counts them: within five seconds, and none a second after the one before. */
function worst(jumps) {
  const groups = [];
  for (const jump of jumps) {
    const last = groups.at(-1);
    if (last && jump.at - last.at(-1).at < 1000 && jump.at - last[0].at < 5000) last.push(jump);
    else groups.push([jump]);
  }
  const total = (group) => group.reduce((sum, { value }) => sum + value, 0);
  const [most] = groups.sort((one, other) => total(other) - total(one));
  return { total: total(most), moved: most.flatMap(({ value, moved }) => [value, ...moved]) };
}

/** A tab of its own with the console, whose requests and errors are looked at when it is closed. */
export class Console {
  #trouble = [];
  #jumps = [];
  /** Requests whose answers are on their way, and when there last was one, if answers are late. */
  #waiting = 0;
  #waited = 0;

  /** `at`: the origin of something before the listener, where it is not asked itself. `late`: milliseconds that each answer takes. */
  static async open({ token = settings.token, hash = "#/overview", at = origin, late, ...options } = {}) {
    const own = new Console();
    own.context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    if (token !== null) await own.context.addInitScript((text) => sessionStorage.setItem("fanfare.token", text), token);
    await own.context.exposeFunction("noteJump", (jump) => { own.#jumps.push(jump); });
    await own.context.addInitScript(noteJumps);
    if (late) await own.context.route("**/api/**", (route) => own.#answerLate(route, late));
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

  async #answerLate(route, milliseconds) {
    this.#waiting += 1;
    await pause(milliseconds);
    // The page may have gone.
    await route.continue().catch(() => null);
    this.#waiting -= 1;
    this.#waited = Date.now();
  }

  /** Waits until a page has asked for nothing for a while. */
  async isQuiet() {
    const asked = Date.now();
    await eventually("a page that asks for nothing", () =>
      this.#waiting === 0 && Date.now() - Math.max(asked, this.#waited) > QUIET_MS);
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

  /** No page moves under the eyes of who looks at it. */
  isSteady() {
    const pages = Object.entries(Object.groupBy(this.#jumps, ({ page }) => page));
    const jumping = pages.map(([page, jumps]) => ({ page, ...worst(jumps) })).filter(({ total }) => total >= STEADY);
    equal(jumping, [], "pages that jump");
  }

  async close() {
    await this.context.close();
    this.isWell("the whole tab");
  }
}
