// The console beside 10,000 channels, and more events than a stream shows.
import Pusher from "pusher";
import WebSocket from "ws";

import { equal, ok } from "../lib/check.mjs";
import { eventually } from "../lib/wait.mjs";
import { Console, browser, settings } from "./browser.mjs";

const CHANNELS = 10_000, SOCKETS = 10;
/** Generous: on a quiet machine each takes a twentieth of it. */
const QUICK_MS = 10_000;

const { app, host, port } = settings;
const sockets = [];
for (let index = 0; index < SOCKETS; index += 1) {
  const socket = new WebSocket(`ws://${host}:${port}/app/${app.key}?protocol=7`);
  sockets.push(socket);
  let left = CHANNELS / SOCKETS;
  await new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", (code) => reject(new Error(`closed with ${code}`)));
    socket.on("message", (text) => {
      const { event } = JSON.parse(text);
      if (event === "pusher:ping") socket.send('{"event":"pusher:pong"}');
      if (event === "pusher:connection_established") {
        for (let number = 0; number < CHANNELS / SOCKETS; number += 1) {
          const channel = `channel-${String(index * 1000 + number).padStart(5, "0")}`;
          socket.send(JSON.stringify({ event: "pusher:subscribe", data: { channel } }));
        }
      }
      if (event === "pusher_internal:subscription_succeeded") { left -= 1; if (left === 0) resolve(); }
    });
  });
}

const console = await Console.open({ hash: "#/channels" });
const { page } = console;
await console.row("channel-00000").waitFor();
await console.sees("10,000 channels");

async function quick(what, action) {
  const began = performance.now();
  await action();
  const took = performance.now() - began;
  ok(took < QUICK_MS, `${what} took ${took} ms`);
  return Math.round(took);
}

const body = page.locator(".list-body");
const times = {};
times.opened = await quick("opening", async () => {
  await console.go("#/overview");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await console.go("#/channels");
  await console.row("channel-00000").waitFor();
});
times.searched = await quick("a search", async () => {
  await page.getByLabel("Names that begin with").fill("channel-0999");
  await console.row("channel-09999").waitFor();
});
await console.sees("10 channels");
await page.getByLabel("Names that begin with").fill("");
await console.row("channel-00000").waitFor();
// The end comes in parts, as it is scrolled to.
await eventually("the last channel", async () => {
  await body.evaluate((element) => { element.scrollTop = element.scrollHeight; });
  return console.row("channel-09999").count();
});
ok(await page.getByRole("row").count() < 100, "only what can be seen is in the page");
times.scrolled = await quick("scrolling", async () => {
  await body.evaluate((element) => { element.scrollTop = element.scrollHeight / 2; });
  await console.row("channel-05000").waitFor();
});

// More passes in a second than a stream shows: the rest is counted, and the page goes on.
await console.go("#/events");
await console.sees(/^Live$/);
const backend = new Pusher({ appId: app.id, key: app.key, secret: app.secret, host, port: String(port), useTLS: false });
let flooding = true;
const flood = (async () => {
  const names = Array.from({ length: 100 }, (_, number) => `channel-${String(number).padStart(5, "0")}`);
  while (flooding) await Promise.all(Array.from({ length: 4 }, () => backend.trigger(names, "flood", { text: "x" })));
})();
await page.locator(".badge.warn").filter({ hasText: "left out" }).waitFor();
await eventually("a full list", async () => /2,000 shown/.test(await page.locator(".numbers").textContent()));
// How long that takes is the machine's business, which is flooded; that it is done is the page's.
await page.getByLabel("Search what is shown").fill("nothing has this text");
await console.sees("0 of 2,000 shown");
flooding = false;
await flood;
const rows = await page.evaluate(() => document.querySelectorAll(".list-row").length);
ok(rows < 100, `${rows} rows are in the page`);
await console.close();
for (const socket of sockets) { socket.removeAllListeners("close"); socket.close(); }
await browser.close();
equal(Object.keys(times).length, 3, "what was timed");
process.stdout.write(`${JSON.stringify(times)}\n`);
