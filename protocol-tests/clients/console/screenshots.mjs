// Pictures of the console at work: node console/screenshots.mjs FOLDER, with the relay's program in FANFARE_BIN
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import Pusher from "pusher";
import Client from "pusher-js-8";

import { eventually, pause } from "../lib/wait.mjs";

/** How long there is traffic before pictures are taken, so that there is something in the charts. */
const TRAFFIC_MS = Number(process.env.TRAFFIC_MS ?? 150_000);

const target = process.argv[2] ?? ".";
const folder = await mkdtemp(join(tmpdir(), "console-"));
const APPS = [["support-desk", "desk"], ["shop", "shop"]];
const section = ([id, word]) => `[[apps]]\nid = "${id}"\nkey = "${word}-key"\nsecret = "${word}-secret"\nclient_events = true\n`;
await writeFile(join(folder, "config.toml"), `[server]\nlisten = "127.0.0.1:0"\nstate_dir = "state"\n[admin]\nlisten = "127.0.0.1:0"\n${APPS.map(section).join("")}`);
const relay = spawn(process.env.FANFARE_BIN ?? "fanfare", ["serve", "--config", "config.toml"], {
  cwd: folder,
  // Nothing that the caller has set for another relay.
  env: { PATH: process.env.PATH },
  stdio: ["ignore", "ignore", "pipe"],
});
const ports = {};
createInterface({ input: relay.stderr }).on("line", (line) => {
  const found = /listener="?(\w+)"? address=127\.0\.0\.1:(\d+)/.exec(line);
  if (found) ports[found[1]] = Number(found[2]);
});
await eventually("the relay", () => ports.public && ports.admin);

const backends = APPS.map(([appId, word]) => new Pusher({ appId, key: `${word}-key`, secret: `${word}-secret`, host: "127.0.0.1", port: String(ports.public), useTLS: false }));
const [desk, shop] = backends;
const people = ["ada", "grace", "alan", "barbara", "edsger", "katherine"];
const clients = people.concat(people).map((user, index) => {
  const [backend, key] = index < 8 ? [desk, "desk-key"] : [shop, "shop-key"];
  const client = new Client(key, {
    cluster: "", wsHost: "127.0.0.1", wsPort: ports.public, forceTLS: false, enabledTransports: ["ws"],
    authorizer: ({ name }) => ({ authorize: (id, done) => done(null, backend.authorizeChannel(id, name, name.startsWith("presence-") ? { user_id: user } : undefined)) }),
    userAuthentication: { customHandler: ({ socketId }, done) => done(null, backend.authenticateUser(socketId, { id: user })) },
  });
  const names = index < 8 ? ["presence-desk", `private-user-${user}`, "private-conversation-7"] : ["orders", "private-stock"];
  for (const name of names) client.subscribe(name);
  client.signin();
  return client;
});

// An app that was made over the API, with a backend of which one part works.
const endpoint = createServer((request, response) => {
  request.resume();
  response.writeHead(request.url.startsWith("/taken") ? 200 : 502).end();
});
await new Promise((resolve) => { endpoint.listen(0, "127.0.0.1", resolve); });
const hook = (path, events) => ({ url: `http://127.0.0.1:${endpoint.address().port}/${path}`, events, headers: { "X-Team": "checkout" } });
await fetch(`http://127.0.0.1:${ports.admin}/api/apps`, {
  method: "POST", headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    id: "storefront", key: "storefront-key", secret: "storefront-secret", client_events: true, allowed_origins: ["https://shop.example.com"],
    allow_missing_origin: true, limits: { max_connections: 5000 },
    webhooks: [hook("taken", ["channel_occupied", "channel_vacated"]), hook("refused", ["member_added", "member_removed"])],
  }),
});
const storefront = new Pusher({ appId: "storefront", key: "storefront-key", secret: "storefront-secret", host: "127.0.0.1", port: String(ports.public), useTLS: false });
const visitor = new Client("storefront-key", {
  cluster: "", wsHost: "127.0.0.1", wsPort: ports.public, forceTLS: false, enabledTransports: ["ws"],
  authorizer: ({ name }) => ({ authorize: (id, done) => done(null, storefront.authorizeChannel(id, name, { user_id: "ada" })) }),
});
for (const channel of ["offers", "stock", "presence-checkout"]) visitor.subscribe(channel);

let round = 0;
const beat = setInterval(async () => {
  round += 1;
  const text = "Of course. I have put it aside under your name.";
  for (let number = 0; number < 1 + 4 * Math.abs(Math.sin(round / 25)); number += 1) {
    await desk.trigger("private-conversation-7", "message.created", { id: round * 10 + number, author: people[round % 6], text });
  }
  if (round % 2 === 0) await shop.trigger(["orders", "private-stock"], "order.paid", { order: 4000 + round, total: 129.5, currency: "EUR" });
  if (round % 5 === 0) clients[1].channel("private-conversation-7").trigger("client-typing", { user: "grace" });
  if (round % 9 === 0) await desk.trigger("presence-desk", "shift.changed", { who: people[round % 6] });
}, 300);
await pause(TRAFFIC_MS);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--disable-background-networking", "--disable-gpu", "--no-first-run"], chromiumSandbox: false });

/** Takes a picture of a page once what is to be seen is there. */
async function picture(name, hash, options, ready) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  await page.goto(`http://127.0.0.1:${ports.admin}/${hash}`);
  await ready(page);
  const path = join(target, `console-${name}.png`);
  await page.screenshot({ path, animations: "disabled" });
  console.log(path);
  await page.close();
}

const charted = (page) => eventually("rates", async () => !(await page.locator(".apps-list").textContent()).includes("–"));
await picture("overview", "#/overview", { colorScheme: "light" }, charted);
await picture("events", "#/events", { colorScheme: "dark" }, async (page) => {
  await eventually("some events", async () => (await page.locator(".list-body .list-row").count()) > 20);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.locator(".list-body .list-row").filter({ hasText: "order.paid" }).first().click();
  await page.locator(".payload pre").getByText('"currency"').waitFor();
});
await picture("webhooks", "#/webhooks?app=storefront", { colorScheme: "light" }, async (page) => {
  await page.getByText("failing").waitFor();
  await page.getByRole("button", { name: /^Send a test to/ }).first().click();
  await page.getByText("Taken: it answered").waitFor();
  await page.getByText(/failures?, the newest first/).click();
});
await picture("app", "#/apps/storefront/edit", { colorScheme: "light" }, (page) => page.getByRole("button", { name: "Save" }).waitFor());
await picture("doctor", "#/doctor?app=storefront&origin=https://admin.example.com", { colorScheme: "dark" }, async (page) => {
  await page.getByLabel("Address that clients are given").fill(`ws://127.0.0.1:${ports.public}`);
  await page.getByRole("button", { name: "Run checks" }).click();
  await page.locator(".run-head .badge.bad").waitFor();
});
await picture("phone", "#/overview", { colorScheme: "dark", viewport: { width: 390, height: 800 }, deviceScaleFactor: 1.5, isMobile: true, hasTouch: true }, charted);

clearInterval(beat);
await browser.close();
for (const client of [...clients, visitor]) client.disconnect();
endpoint.close();
relay.kill("SIGTERM");
await new Promise((resolve) => relay.on("exit", resolve));
await rm(folder, { recursive: true });
