// A relay, an API with demonstration data, and a browser: all that the inbox needs.
import { randomUUID } from "node:crypto";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

import { PHONE_NUMBER_ID, TOKEN, startGraph } from "./graph.mjs";
import { run, serve } from "./process.mjs";
import { deliver, webhook } from "./whatsapp.mjs";

const APP = { id: "10001", key: "inbox-key", secret: "inbox-secret" };
const WHATSAPP_SECRET = "whatsapp-secret";
/** What may be written at any time. */
const TEMPLATES = [
  { name: "order_update", language: "en", body: "Hello {{1}}, your order {{2}} is on its way.", parameters: 2 },
];
const PASSWORD = "password123";
const DIST = new URL("../../dist/", import.meta.url).pathname;
const FLAGS = [
  "--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-quic",
  "--disable-sync", "--no-first-run",
  // A page that a test has answered itself may call the relay, too.
  "--disable-features=LocalNetworkAccessChecks",
];
/** How long anything may take that must happen. Only a failing test ever waits for it. */
const PATIENCE_MS = Number(process.env.PATIENCE_MS ?? 60_000);

/** Users of the demonstration data. Department 1: manager, supervisor, agent, agent2; department 2: manager2, agent3. */
export const USERS = {
  admin: "admin@tims.local",
  manager: "manager@tims.local",
  supervisor: "supervisor@tims.local",
  agent: "agent@tims.local",
  agent2: "agent2@tims.local",
  manager2: "manager2@tims.local",
  agent3: "agent3@tims.local",
};

export async function startWorld() {
  const programs = { relay: named("FANFARE_BIN"), api: named("CONVERSATION_API_BIN") };
  const folder = await mkdtemp(join(tmpdir(), "inbox-"));
  const database = { DATABASE_URL: `sqlite://${join(folder, "desk.db")}` };
  await run(programs.api, ["seed"], { cwd: folder, env: database });
  await writeFile(join(folder, "relay.toml"), [
    "[admin]", 'listen = ""', "[log]", 'format = "json"', "[[apps]]",
    `id = "${APP.id}"`, `key = "${APP.key}"`, `secret = "${APP.secret}"`,
  ].join("\n"));
  const templates = join(folder, "templates.json");
  await writeFile(templates, JSON.stringify(TEMPLATES));
  const startRelay = (listen) =>
    serve(programs.relay, ["serve", "--config", "relay.toml", "--listen", listen], { cwd: folder });

  const graph = await startGraph();
  let relay = await startRelay("127.0.0.1:0");
  const port = relay.address.split(":").at(-1);
  const web = join(folder, "web");
  await cp(DIST, web, { recursive: true });
  await writeFile(join(web, "config.json"), JSON.stringify({
    pusher: { port: Number(port) },
    demo: { password: PASSWORD, accounts: [{ email: USERS.agent, name: "Amir Agent", role: "agent" }] },
  }));
  const api = await serve(programs.api, ["serve", "--listen", "127.0.0.1:0", "--web", web], {
    cwd: folder,
    env: {
      ...database,
      LOG_FORMAT: "json",
      DATABASE_WAIT_MS: "20000",
      BROADCAST_CONNECTION: "pusher",
      PUSHER_APP_ID: APP.id, PUSHER_APP_KEY: APP.key, PUSHER_APP_SECRET: APP.secret,
      PUSHER_HOST: "127.0.0.1", PUSHER_PORT: port, PUSHER_SCHEME: "http",
      WHATSAPP_APP_SECRET: WHATSAPP_SECRET, WHATSAPP_TEMPLATES: templates,
      WHATSAPP_TOKEN: TOKEN, WHATSAPP_PHONE_NUMBER_ID: PHONE_NUMBER_ID, WHATSAPP_GRAPH_URL: graph.url,
    },
  });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: FLAGS,
    chromiumSandbox: false,
  });
  const url = `http://${api.address}`;
  const sessions = new Map();

  /** Logs in over HTTP, once a user: log-ins are limited. */
  function sessionOf(email) {
    if (!sessions.has(email)) sessions.set(email, logIn(email));
    return sessions.get(email);
  }

  /** Asks the backend again while the machine, with other work, is too slow for its limits. What is asked may have been done already. */
  async function ask(path, options) {
    let response;
    do response = await fetch(`${url}${path}`, options);
    while (response.status === 503 || response.status === 408);
    return response;
  }

  async function logIn(email) {
    const headers = { "Content-Type": "application/json" };
    const response = await ask("/api/auth/login", { method: "POST", headers, body: JSON.stringify({ email, password: PASSWORD }) });
    if (!response.ok) throw new Error(`${email} cannot log in: ${response.status}`);
    return response.json();
  }

  const world = {
    url,
    password: PASSWORD,
    app: APP,
    relayPort: Number(port),
    graph,
    sessionOf,
    inboxUrl: `${url}/inbox/`,

    /** Opens the inbox in a browser of its own, as somebody who is logged in; nobody is when `email` is null. */
    async open(email, { hash = "", before = async () => {}, ...options } = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options });
      context.setDefaultTimeout(PATIENCE_MS);
      const page = await context.newPage();
      const inbox = { page, context, faults: [], frames: [], close: () => context.close() };
      page.on("pageerror", (error) => inbox.faults.push(error.stack ?? String(error)));
      page.on("console", (message) => {
        if (message.text().includes("Content Security Policy")) inbox.faults.push(message.text());
      });
      page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => inbox.frames.push(String(payload))));
      if (email) {
        const session = JSON.stringify(await sessionOf(email));
        await context.addInitScript((session) => {
          if (!sessionStorage.getItem("began")) localStorage.setItem("tims.session", session);
          sessionStorage.setItem("began", "yes");
        }, session);
      }
      await before(inbox);
      await page.goto(`${world.inboxUrl}${hash}`);
      if (email) await world.live(inbox);
      return inbox;
    },

    /** Waits until a page hears of everything: it is connected, and subscribed to all that it asked for. */
    async live({ page }) {
      await page.waitForFunction(() => {
        const channels = window.Echo?.connector.pusher.allChannels() ?? [];
        const connected = window.Echo?.connector.pusher.connection.state === "connected";
        return connected && channels.length > 0 && channels.every(({ subscribed }) => subscribed);
      });
    },

    /** A customer writes, a text or a message of another kind; returns the webhook's body. */
    async write(customer, message) {
      const body = webhook(customer, message);
      await world.deliver(body);
      return body;
    },
    deliver: (body) => deliver(url, WHATSAPP_SECRET, body),

    /** Sends a message as a user; returns the answer. */
    async send(email, message) {
      const body = { client_id: randomUUID(), ...message };
      // The id makes it the same message when it is asked for again.
      const response = await world.call(email, "POST", "/api/messages/send", body);
      if (!response.ok) throw new Error(`the message was answered with ${response.status}: ${await response.text()}`);
      return response.json();
    },

    /** Calls an endpoint as a user. */
    async call(email, method, path, body) {
      const { token } = await sessionOf(email);
      const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
      return ask(path, { method, headers, body: body && JSON.stringify(body) });
    },

    async stopRelay() {
      await relay.stop();
    },
    async startRelay() {
      relay = await startRelay(`127.0.0.1:${port}`);
    },

    async close() {
      await browser.close();
      await api.stop();
      await relay.stop();
      await graph.close();
      await rm(folder, { recursive: true });
    },
  };
  return world;
}

function named(variable) {
  const path = process.env[variable];
  if (!path) throw new Error(`${variable} is not set: it names the program to test`);
  return path;
}
