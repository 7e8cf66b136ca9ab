// Each page of the console, with pusher-js and Pusher's server library at work.
import Pusher from "pusher";
import Client from "pusher-js-8";

import { equal, ok } from "../lib/check.mjs";
import { eventually } from "../lib/wait.mjs";
import { Console, browser, settings } from "./browser.mjs";

const { app, host, port, read } = settings;
const EVIL = `<img src=x onerror="alert('a script ran')">`;
const REVERSED = "user‮gpj";

const backend = new Pusher({ appId: app.id, key: app.key, secret: app.secret, host, port: String(port), useTLS: false });

function connect(user, carrier = ["ws"]) {
  return new Client(app.key, {
    cluster: "", wsHost: host, wsPort: port, httpHost: host, httpPort: port, forceTLS: false, enabledTransports: carrier,
    authorizer: (channel) => ({
      authorize: (socketId, done) => {
        const presence = channel.name.startsWith("presence-") ? { user_id: user, user_info: {} } : undefined;
        done(null, channel.name.includes("refused") ? { auth: `${app.key}:00` } : backend.authorizeChannel(socketId, channel.name, presence));
      },
    }),
    userAuthentication: { customHandler: ({ socketId }, done) => done(null, backend.authenticateUser(socketId, { id: user })) },
  });
}

const subscribed = (channel) => new Promise((resolve) => channel.bind("pusher:subscription_succeeded", resolve));
const connected = (client) => eventually("a connection", () => client.connection.socket_id);

const ada = connect("ada"), grace = connect("grace"), evil = connect(EVIL), reversed = connect(REVERSED);
for (const client of [ada, grace, evil, reversed]) {
  client.signin();
  await subscribed(client.subscribe("presence-room"));
}
await subscribed(ada.subscribe("private-desk"));
await subscribed(grace.subscribe("private-desk"));
const [adaId, graceId] = [await connected(ada), await connected(grace)];
const publish = (channel, name, data, options) => backend.trigger(channel, name, data, options);

/** Each page, on something that is there. */
const PAGES = [
  "#/overview", "#/events", "#/channels", `#/channels/${app.id}/presence-room`, "#/connections", `#/connections/${app.id}/${adaId}`,
  `#/trace?app=${app.id}&by=socket&value=${adaId}`, "#/send", "#/apps", `#/apps/${app.id}`, `#/webhooks?app=${app.id}`,
  "#/apps?new=app", "#/apps/made", "#/apps/made/edit", "#/doctor",
];

/** Who comes without a token is asked for one; a wrong one is refused, and a right one is kept for the tab. */
async function token() {
  const console = await Console.open({ token: null, hash: "#/channels" });
  const { page } = console;
  await page.getByRole("heading", { name: "Who is looking?" }).waitFor();
  await console.isAccessible("the question for a token");
  await page.getByLabel("Token").fill("wrong-wrong-wrong-wrong");
  await page.getByRole("button", { name: "Open the console" }).click();
  await console.sees("none that opens this listener");
  await page.getByLabel("Token").fill(settings.token);
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.getByRole("heading", { name: "Channels", level: 1 }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Channels", level: 1 }).waitFor();
  await page.getByRole("button", { name: "Lock" }).click();
  await page.getByRole("heading", { name: "Who is looking?" }).waitFor();
  await console.close();
}

/** One who may only read sees everything, and finds no button that changes something. */
async function reader() {
  const console = await Console.open({ token: read, hash: "#/connections" });
  const { page } = console;
  await console.row(adaId).waitFor();
  equal(await page.getByRole("button", { name: /^Close/ }).count(), 0, "buttons that close");
  await console.go("#/send");
  ok(await page.getByRole("button", { name: "Takes a token of the role write" }).isDisabled(), "the sender is shut");
  await console.close();
}

async function overview() {
  const console = await Console.open();
  const { page } = console;
  const tile = page.locator(".tile").filter({ hasText: "Connections" }).locator(".tile-value");
  await eventually("the number of connections", async () => (await tile.textContent()) === "4");
  for (const name of ["Connections", "Messages a second", "Publishes a second", "Publish to write", "Bytes a second", "Errors a second"]) {
    await page.getByRole("img", { name: new RegExp(`^${name} over the last hour`) }).waitFor();
  }
  await eventually("a publish in the chart", async () => {
    await publish("presence-room", "counted", {});
    return /HTTP: now \S+, at most (?!0\.)/.test(await page.getByRole("img", { name: /^Publishes a second/ }).getAttribute("aria-label"));
  });
  await eventually("a latency", async () => {
    await publish("presence-room", "counted", {});
    return /s$/.test(await page.locator(".tile").filter({ hasText: "Latency" }).locator(".tile-value").textContent());
  });
  await console.stays("an app's link", page.getByRole("link", { name: app.id, exact: true }), /^\/api\/apps$/);
  const plot = await page.locator(".plot").first().boundingBox();
  await page.mouse.move(plot.x + plot.width / 2, plot.y + plot.height / 2);
  await page.locator(".crosshair").first().waitFor({ state: "visible" });
  await page.getByLabel("Search apps").fill("no such app");
  await console.sees("No apps");
  await page.getByLabel("Search apps").fill(app.id);
  await console.row(app.id).waitFor();
  await page.getByRole("button", { name: "Sort by app" }).click();
  await eventually("the order in the address", () => page.url().includes("sort=id.up"));
  await page.getByRole("link", { name: app.id, exact: true }).click();
  await page.getByRole("heading", { name: "Apps and keys" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await console.close();
}

async function events() {
  const console = await Console.open({ hash: "#/events" });
  const { page } = console;
  await console.sees("Nothing has passed yet");
  await console.sees(/^Live$/);
  await publish("private-desk", "created", { text: EVIL, nested: { n: 1 } });
  await console.row("created").waitFor();
  grace.channel("private-desk").trigger("client-typing", { by: "grace" });
  await console.row("client-typing").waitFor();
  // The event in full, laid out, and copied.
  await console.row("created").click();
  const detail = page.getByRole("complementary", { name: "The event in full" });
  await detail.getByText('"n": 1').waitFor();
  ok((await detail.locator("pre").textContent()).includes("<img src=x"), "the markup is text");
  await console.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  // It says so for a moment.
  await Promise.all([detail.getByText("Copied").waitFor(), detail.getByRole("button", { name: "Copy the data" }).click()]);
  equal(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())).nested, { n: 1 }, "what was copied");
  await detail.getByRole("button", { name: "Close" }).click();
  // By kind.
  await page.getByRole("button", { name: "client event" }).click();
  await console.row("client-typing").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "client event" }).click();
  await console.row("client-typing").waitFor();
  // By text.
  await page.getByLabel("Search what is shown").fill("nested");
  await console.row("client-typing").waitFor({ state: "detached" });
  await console.row("created").waitFor();
  await page.getByLabel("Search what is shown").fill("");
  // Paused, nothing moves; then all is there.
  await page.getByRole("button", { name: "Pause" }).click();
  await publish("private-desk", "while-paused", {});
  await console.sees(/1 since the pause/);
  equal(await console.row("while-paused").count(), 0, "rows while paused");
  await page.getByRole("button", { name: "Go on" }).click();
  await console.row("while-paused").waitFor();
  await page.getByRole("button", { name: "Clear" }).click();
  await console.sees("Nothing has passed yet");
  // By app, which the address keeps.
  const made = new Pusher({ appId: "made", key: "made-key", secret: "made-secret", host, port: String(port), useTLS: false });
  const chosen = page.getByRole("combobox", { name: "App" });
  await chosen.selectOption("made");
  await eventually("the app in the address", () => /app=made/.test(page.url()));
  await eventually("an event of the app that is wanted", async () => {
    await publish("private-desk", "of-the-first-app", {});
    await made.trigger("private-desk", "of-the-second-app", {});
    return console.row("of-the-second-app").count();
  });
  equal(await console.row("of-the-first-app").count(), 0, "rows of another app");
  await page.reload();
  await console.sees(/^Live$/);
  equal(await chosen.inputValue(), "made", "the app after a reload");
  await chosen.selectOption("All apps");
  await eventually("no app in the address", () => !/app=/.test(page.url()));
  await eventually("events of both apps", async () => {
    await made.trigger("private-desk", "of-the-second-app", {});
    await publish("private-desk", "of-the-first-app", {});
    return await console.row("of-the-first-app").count() > 0 && await console.row("of-the-second-app").count() > 0;
  });
  await page.getByRole("button", { name: "Clear" }).click();
  // By channel and event, which the address keeps.
  await page.getByRole("textbox", { name: "Channel" }).fill("private-*");
  await page.getByRole("textbox", { name: "Event" }).fill("wanted");
  await eventually("the filters in the address", () => /channel=private-.*event=wanted/.test(page.url()));
  await eventually("the event that is wanted", async () => {
    await publish("presence-room", "wanted", {});
    await publish("private-desk", "unwanted", {});
    await publish("private-desk", "wanted", {});
    return console.row("wanted").count();
  });
  equal(await console.row("presence-room").count() + await console.row("unwanted").count(), 0, "rows that were not wanted");
  await page.reload();
  equal(await page.getByRole("textbox", { name: "Event" }).inputValue(), "wanted", "the filter after a reload");
  // The keyboard.
  await page.locator("h1").focus();
  await page.keyboard.press("/");
  equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Search what is shown", "what / leads to");
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.getByRole("heading", { name: "Channels", level: 1 }).waitFor();
  await console.close();
}

async function channels() {
  const console = await Console.open({ hash: "#/channels" });
  const { page } = console;
  await console.row("presence-room").waitFor();
  await page.getByLabel("Names that begin with").fill("private-d");
  await console.row("presence-room").waitFor({ state: "detached" });
  await console.row("private-desk").waitFor();
  await page.getByLabel("Names that begin with").fill("");
  await page.getByRole("link", { name: "presence-room" }).click();
  await page.getByRole("heading", { name: "presence-room" }).waitFor();
  for (const member of ["ada", EVIL, "user⟨U+202E⟩gpj"]) await page.getByRole("table", { name: "Members" }).getByText(member, { exact: true }).waitFor();
  await console.stays("a member's link", page.getByRole("table", { name: "Members" }).getByRole("link", { name: "ada" }), /\/members$/);
  const users = page.locator(".tile").filter({ hasText: "Users" }).locator(".tile-value");
  await eventually("the number of users", async () => (await users.textContent()) === "4");
  await console.sees(/^Live$/);
  await publish("presence-room", "live-here", { x: 1 });
  await console.row("live-here").waitFor();
  await publish("private-desk", "elsewhere", {});
  await publish("presence-room", "live-again", {});
  await console.row("live-again").waitFor();
  equal(await console.row("elsewhere").count(), 0, "events of other channels");
  await page.goBack();
  await console.row("private-desk").waitFor();
  await console.close();
}

async function connections() {
  const console = await Console.open({ hash: "#/connections" });
  const { page } = console;
  const leaver = connect("leaver"), other = connect("leaver");
  const [leaverId] = [await connected(leaver), await connected(other)];
  other.signin();
  await subscribed(leaver.subscribe("leaving"));
  await page.getByRole("button", { name: "Refresh" }).click();
  await console.row(leaverId).waitFor();
  await page.getByLabel("Search sockets, users, addresses").fill("grace");
  await console.row(graceId).waitFor();
  await console.row(leaverId).waitFor({ state: "detached" });
  await page.getByLabel("Search sockets, users, addresses").fill("");
  await page.getByRole("link", { name: leaverId }).click();
  await page.getByRole("table", { name: "Subscriptions" }).getByText("leaving").waitFor();
  await console.sees("not signed in");
  await console.stays("a channel's link", page.getByRole("table", { name: "Subscriptions" }).getByRole("link", { name: "leaving" }), /\/connections\/[\d.]+$/);
  // A question comes first.
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  equal(leaver.connection.state, "connected", "the state of a connection that was not closed");
  const failed = new Promise((resolve) => leaver.connection.bind("error", (error) => resolve(JSON.stringify(error))));
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await console.isAccessible("a question");
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await console.sees("The connection is closed.");
  ok((await failed).includes("4009"), `the close has another code: ${await failed}`);
  await console.go("#/connections");
  await page.getByLabel("User id").fill("leaver");
  await eventually("a user that is signed in", () => other.user.user_data);
  await page.getByRole("button", { name: "Close the user's" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await console.sees("The user's connections are closed.");
  await eventually("the user's end", () => other.connection.state !== "connected");
  // A browser takes this id for a step in a path.
  const step = connect("..");
  await connected(step);
  step.signin();
  await eventually("a user that is signed in", () => step.user.user_data);
  await page.getByLabel("User id").fill("..");
  await page.getByRole("button", { name: "Close the user's" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await eventually("the user's end", () => step.connection.state !== "connected");
  equal(ada.connection.state, "connected", "the state of another user's connection");
  for (const client of [leaver, other, step]) client.disconnect();
  await console.close();
}

async function trace() {
  const console = await Console.open({ hash: `#/trace?app=${app.id}&by=socket&value=${adaId}` });
  const { page } = console;
  const feed = page.getByRole("list", { name: "What happened" });
  await console.sees("Following");
  await page.locator(".now").getByText("private-desk").waitFor();
  await publish("private-desk", "for-ada", {});
  await feed.getByRole("listitem").filter({ hasText: "for-ada" }).getByText("reached it").waitFor();
  await publish("private-desk", "not-for-ada", {}, { socket_id: adaId });
  await feed.getByRole("listitem").filter({ hasText: "not-for-ada" }).getByText("left out").waitFor();
  await page.getByLabel("Also what did not reach it").check();
  await publish("elsewhere", "far-away", {});
  await feed.getByRole("listitem").filter({ hasText: "far-away" }).getByText("not subscribed to elsewhere").waitFor();
  ada.subscribe("private-refused");
  await feed.getByRole("listitem").filter({ hasText: "refused" }).first().waitFor();
  // What the stream brings while an answer is on its way is newer than that.
  const look = Promise.withResolvers(), released = Promise.withResolvers();
  await page.route(`**/connections/${adaId}`, async (route) => {
    const response = await route.fetch();
    look.resolve();
    await released.promise;
    await route.fulfill({ response });
  }, { times: 1 });
  await look.promise;
  ada.subscribe("meanwhile");
  await feed.getByRole("listitem").filter({ hasText: "meanwhile" }).getByText("subscribed").first().waitFor();
  const taken = page.waitForResponse((response) => response.url().endsWith(`/connections/${adaId}`));
  released.resolve();
  await (await taken).finished();
  await publish("meanwhile", "to-meanwhile", {});
  await feed.getByRole("listitem").filter({ hasText: "to-meanwhile" }).getByText("reached it").waitFor();
  ada.unsubscribe("meanwhile");
  // A user, from the form.
  await page.getByLabel("What to follow").selectOption("user");
  await page.getByLabel("Which one").fill("grace");
  await page.getByRole("button", { name: "Follow" }).click();
  await page.locator(".now").getByText(graceId).waitFor();
  await eventually("an event that reached the user", async () => {
    await publish("private-desk", "for-grace", {});
    return feed.getByRole("listitem").filter({ hasText: "for-grace" }).getByText("reached it").count();
  });
  // It comes back on another socket, and is found by its sign-in; what was refused shows, too.
  const again = connect("grace");
  again.signin();
  const againId = await connected(again);
  await feed.getByRole("listitem").filter({ hasText: againId }).getByText("signed in").waitFor();
  const stranger = new Pusher({ appId: app.id, key: app.key, secret: "wrong", host, port: String(port), useTLS: false });
  await stranger.trigger("private-desk", "forged", {}).catch(() => null);
  await feed.getByRole("listitem").filter({ hasText: "private-desk" }).getByText("was not published").waitFor();
  again.disconnect();
  // A channel.
  await page.getByLabel("What to follow").selectOption("channel");
  await page.getByLabel("Which one").fill("presence-room");
  await page.getByRole("button", { name: "Follow" }).click();
  await console.sees("4 connections subscribed.");
  await eventually("an event to the channel", async () => {
    await publish("presence-room", "to-all", {});
    return feed.getByRole("listitem").filter({ hasText: "to-all" }).getByText("to 4 subscribers").count();
  });
  await console.close();
}

async function sender() {
  const console = await Console.open({ hash: "#/send?channel=private-desk" });
  const { page } = console;
  const came = [];
  const onEvent = (name) => (data) => came.push([name, data]);
  ada.channel("private-desk").bind("from-console", onEvent("ada"));
  grace.channel("private-desk").bind("from-console", onEvent("grace"));
  await page.getByLabel("Event", { exact: true }).fill("from-console");
  await page.getByLabel("Data, as JSON").fill("{ wrong");
  await console.sees("The data is no JSON");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  equal(came, [], "what came of wrong data");
  await page.getByLabel("Data, as JSON").fill('{"text":"hello"}');
  await page.getByLabel("Leave out").fill(adaId);
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await console.sees("Published from-console to private-desk");
  await eventually("the event", () => came.length > 0);
  equal(came, [["grace", { text: "hello" }]], "what came, to whom");
  await page.getByLabel("Leave out").fill("");
  await page.getByRole("textbox", { name: "Channels" }).fill("not a channel!");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.locator(".result.bad").first().waitFor();
  await console.close();
}

async function apps() {
  const console = await Console.open({ hash: "#/apps" });
  const { page } = console;
  await page.getByRole("link", { name: "made" }).click();
  await page.getByRole("heading", { name: "made" }).waitFor();
  const whole = () => page.locator("main").textContent();
  ok(!(await whole()).includes("made-secret"), "the secret is hidden at first");
  await page.getByRole("button", { name: "Show" }).click();
  await console.sees("made-secret");
  const snippet = page.getByRole("tabpanel");
  for (const [tab, text] of [["Laravel Echo", "broadcaster"], ["pusher-js", "new Pusher("], ["Laravel .env", "PUSHER_APP_SECRET=made-secret"],
    ["PHP", "Pusher\\Pusher("], ["Node", "appId: \"made\""], ["Python", "pusher.Pusher("], ["Ruby", "Pusher::Client.new"], ["curl", "auth_signature"]]) {
    await page.getByRole("tab", { name: tab, exact: true }).click();
    await snippet.getByText(text).waitFor();
  }
  await page.getByLabel("Public host").fill("ws.example.com");
  await snippet.getByText("ws.example.com").waitFor();
  await page.getByRole("button", { name: "Hide" }).click();
  ok(!(await whole()).includes("made-secret"), "the secret is hidden again");
  await console.sees("max_connections");
  await console.close();
}

async function webhooks() {
  const console = await Console.open({ hash: `#/webhooks?app=${app.id}` });
  const { page } = console;
  await console.sees("channel_occupied");
  const failures = page.locator(".tile").filter({ hasText: "Requests that failed" }).locator(".tile-value");
  await eventually("failures", async () => /^[1-9]/.test(await failures.textContent()));
  await page.getByRole("combobox", { name: "App" }).selectOption("made");
  await console.sees("No webhooks");
  await console.close();
}

/** Nothing serious in light and dark, on a phone and a wide screen; and nothing is wider than the window. */
async function accessible() {
  for (const [colorScheme, viewport] of [["light", { width: 1440, height: 900 }], ["dark", { width: 390, height: 800 }], ["light", { width: 390, height: 800 }], ["dark", { width: 1440, height: 900 }]]) {
    const console = await Console.open({ colorScheme, viewport, reducedMotion: "reduce" });
    for (const hash of PAGES) {
      await console.go(hash);
      if (hash === "#/events" || hash.includes("presence-room")) {
        await console.sees(/^Live$/);
        await publish("presence-room", "seen", { text: "seen" });
        await console.row(viewport.width < 500 ? "publish" : "seen").click();
      }
      await console.page.locator(".skeleton:visible").first().waitFor({ state: "hidden" });
      await console.isAccessible(`${hash}, ${colorScheme}, ${viewport.width} pixels`);
      await console.fits(`${hash} at ${viewport.width} pixels`);
    }
    await console.page.getByRole("button", { name: "Light or dark" }).click();
    equal(await console.page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), colorScheme === "dark" ? "light" : "dark", "the switch");
    await console.close();
  }
}

/** A page whose answers are late has kept the room for them. */
async function steady() {
  for (const viewport of [{ width: 1440, height: 900 }, { width: 390, height: 800 }]) {
    const console = await Console.open({ viewport, reducedMotion: "reduce", late: 200 });
    for (const hash of PAGES) {
      await console.go(hash);
      await console.isQuiet();
      await console.page.locator(".skeleton:visible").first().waitFor({ state: "hidden" });
    }
    await console.close();
    console.isSteady();
  }
}

const PARTS = { token, reader, overview, events, channels, connections, trace, sender, apps, webhooks, accessible };
const MORE = { steady };
const wanted = process.argv.slice(2);
for (const [name, part] of Object.entries(wanted.length > 0 ? { ...PARTS, ...MORE } : PARTS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  try {
    await part();
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  }
  process.stdout.write(`${name}\n`);
}
for (const client of [ada, grace, evil, reversed]) client.disconnect();
await browser.close();
