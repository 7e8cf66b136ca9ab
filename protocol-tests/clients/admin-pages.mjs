// What web pages get of a relay's admin listener on loopback that asks for no token, in headless Chromium: one of another site, one
// whose name was made to stand for 127.0.0.1, and one of the listener itself. Writes what each got, in a line of JSON.
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const { port: admin } = JSON.parse(process.env.CLIENT_TEST);

const site = createServer((request, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end("<!doctype html><title>a page</title>");
});
await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--disable-background-networking", "--disable-gpu", "--no-first-run", "--host-resolver-rules=MAP *.example 127.0.0.1"],
  chromiumSandbox: false,
});

/** Opens a page, and has it try all that a page can do to read or change something at `base`. */
async function tries(url, base) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(url);
  const got = await page.evaluate(async (base) => {
    const fetched = async (path, options) => {
      try {
        const response = await fetch(base + path, options);
        return { type: response.type, status: response.status, text: await response.text() };
      } catch (error) {
        return { failed: String(error) };
      }
    };
    const loaded = (tag, path) => new Promise((resolve) => {
      const element = document.createElement(tag);
      element.onload = () => resolve(true);
      element.onerror = () => resolve(false);
      element.src = base + path;
      document.body.append(element);
    });
    const streamed = () => new Promise((resolve) => {
      const socket = new WebSocket(`${base.replace("http", "ws")}/stream`);
      socket.onopen = () => { socket.close(); resolve(true); };
      socket.onerror = () => resolve(false);
    });
    const form = { method: "POST", mode: "no-cors", body: "{}", headers: { "Content-Type": "text/plain" } };
    return {
      metrics: await fetched("/metrics"),
      apps: await fetched("/api/apps"),
      opaque: await fetched("/metrics", { mode: "no-cors" }),
      script: await loaded("script", "/api/apps"),
      stream: await streamed(),
      form: await fetched("/api/tickets", form),
      closing: await fetched("/api/apps/10001/connections?all=true", { method: "DELETE" }),
    };
  }, base);
  await context.close();
  return got;
}

const listener = `http://127.0.0.1:${admin}`;
const results = {
  foreign: await tries(`http://evil.example:${site.address().port}/`, listener),
  rebound: await tries(`http://evil.example:${admin}/`, `http://evil.example:${admin}`),
  own: await tries(`${listener}/`, listener),
};
process.stdout.write(`${JSON.stringify(results)}\n`);
await browser.close();
site.close();
