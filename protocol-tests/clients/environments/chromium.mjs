// Runs scenarios in headless Chromium, with the libraries' builds for browsers as they are shipped.
import { chromium } from "playwright-core";

const FLAGS = [
  "--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-quic",
  "--disable-sync", "--no-first-run",
  // Every name is of this machine.
  "--host-resolver-rules=MAP * 127.0.0.1",
];

export async function openChromium({ packages, settings, app, restartServer }) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    // What the server's certificate is worth is looked at where it is issued.
    args: settings.tls ? [...FLAGS, "--ignore-certificate-errors"] : FLAGS,
    // A page that was left may come back as it was, as in a browser that people use.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
    chromiumSandbox: false,
  });
  const methods = { ...app.backend, restartServer };

  /**
   * Opens a page of a user's own, with the libraries loaded and a world in `window.world`; from a host of that name.
   * `port` is where it finds the server.
   */
  async function openPage({ encryption = false, host = "127.0.0.1", port = settings.port } = {}) {
    const url = app.url.replace("127.0.0.1", host);
    const context = await browser.newContext();
    const page = await context.newPage();
    const faults = [];
    const own = new Set([new URL(url).host, `${settings.host}:${port}`]);
    /** Whatever a page asks for, it asks the application or the server under test, by whatever protocol. */
    const note = (asked) => {
      const { protocol, host: of } = new URL(asked.url());
      if (protocol !== "data:" && !own.has(of)) faults.push(`a request to ${asked.url()}`);
    };
    context.on("request", note);
    page.on("websocket", note);
    page.on("pageerror", (error) => faults.push(error.stack ?? String(error)));
    await page.exposeFunction("callBackend", (method, parameters) => methods[method](...parameters));
    await page.goto(`${url}/browser/page.html`);
    await load();

    /** Loads the libraries into the page that is open, and makes its world. */
    async function load() {
      const build = encryption ? "pusher-with-encryption.min.js" : "pusher.min.js";
      await page.addScriptTag({ url: `/node_modules/${packages.pusher}/dist/web/${build}` });
      if (packages.echo) await page.addScriptTag({ url: `/node_modules/${packages.echo}/dist/echo.iife.js` });
      await page.evaluate((parts) => window.openWorld(parts), {
        settings, appUrl: url, methods: Object.keys(methods),
      });
    }

    return {
      page,
      url,
      load,
      async close() {
        await context.close();
        if (faults.length > 0) throw new Error(`faults of the page: ${faults.join("\n")}`);
      },
    };
  }

  return {
    openPage,
    /** Runs a scenario of a suite in a page of its own. */
    async run(scenario, suite) {
      const { page, close } = await openPage({ encryption: NEEDS_ENCRYPTION.has(scenario.name) });
      const failure = await page.evaluate(([of, name]) => window.runScenario(of, name), [suite, scenario.name]);
      await close();
      if (failure) throw new Error(failure);
    },
    close: () => browser.close(),
  };
}

/** The others run with the plain build. */
const NEEDS_ENCRYPTION = new Set([
  "cache_channels", "encrypted_channel", "reconnect", "websockets_do_not_get_through",
]);
