// What only pages do: they come from somewhere, and lie in the back/forward cache. These scenarios drive them from
// outside.
import { serverLibrary } from "../app/backend.mjs";
import { equal, ok } from "../lib/check.mjs";
import { eventually } from "../lib/wait.mjs";

/** Connects a page, and returns the state that comes of it and the codes of errors before it. */
function connect({ page }) {
  return page.evaluate(() => new Promise((resolve) => {
    const { connection } = window.pusher = window.world.pusher("ann");
    const codes = [];
    connection.bind("error", (error) => codes.push(error?.error?.data?.code));
    connection.bind("state_change", ({ current }) => {
      if (!["connecting", "initialized"].includes(current)) resolve({ state: current, codes });
    });
  }));
}

/** Publishes from a page, as one whose author knows the secret would, and returns the status, or why there is none. */
function publish({ page }, { settings, body, type }) {
  const path = `/apps/${settings.app.id}/events`;
  const query = serverLibrary(settings).createSignedQueryString({ method: "POST", path, body });
  const url = `http://${settings.host}:${settings.port}${path}?${query}`;
  return page.evaluate(async ([to, text, contentType]) => {
    try {
      const request = { method: "POST", body: text, headers: { "content-type": contentType }, mode: "no-cors" };
      if (contentType === "application/json") request.mode = "cors";
      const response = await fetch(to, request);
      return response.type === "opaque" ? "nobody may read it" : response.status;
    } catch (error) {
      return error.message;
    }
  }, [url, body, type]);
}

/** The app whose secret everybody knows is none of a foreign page's business. */
async function foreign_page_at_the_development_app({ openPage, unique, settings }) {
  const channel = unique("private-orders-");
  const own = await openPage({ host: "shop.test" });
  equal((await connect(own)).state, "connected", "the state of a page of the developer's own");
  await own.page.evaluate(async (name) => {
    window.events = new window.Inbox("events");
    const subscribed = window.pusher.subscribe(name);
    for (const event of ["mine", "theirs"]) subscribed.bind(event, () => window.events.push(event));
    await new Promise((resolve) => subscribed.bind("pusher:subscription_succeeded", resolve));
  }, channel);

  const foreign = await openPage({ host: "shop.example" });
  const { state, codes } = await connect(foreign);
  ok(state !== "connected", "a foreign page is not connected");
  ok(codes.includes(4009), `a foreign page is refused with 4009: ${codes}`);
  const body = JSON.stringify({ name: "theirs", channel, data: "{}" });
  for (const type of ["application/json", "text/plain"]) await publish(foreign, { settings, body, type });

  await serverLibrary(settings).trigger(channel, "mine", {});
  equal(await own.page.evaluate(() => window.events.next()), "mine", "what arrives first");
  await foreign.close();
  await own.close();
}

/** Waits until the server has taken one for gone that connects now, says it is a page and never answers. */
async function silentClientIsClosed({ host, port, app }) {
  const socket = new WebSocket(`ws://${host}:${port}/app/${app.key}?protocol=7&client=js&version=8.4.0&flash=false`);
  const closed = new Promise((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
  equal(await closed, 4201, "what a client that does not answer is closed with");
}

/** A page that was left keeps its socket in the back/forward cache, and the browser answers pings for it. */
async function page_in_the_back_forward_cache({ openPage, unique, settings }) {
  const channel = unique("presence-room-");
  const library = serverLibrary(settings);
  const members = async () => {
    const { users } = await (await library.get({ path: `/channels/${channel}/users` })).json();
    return users.map(({ id }) => id).sort();
  };
  const join = ({ page }, user) => page.evaluate(([as, name]) => new Promise((resolve) => {
    window.room = window.world.pusher(as).subscribe(name);
    window.room.bind("pusher:subscription_succeeded", resolve);
  }), [user, channel]).then(() => null);
  const tab = await openPage();
  await join(tab, "ann");
  const other = await openPage();
  await join(other, "bob");
  equal(await members(), ["ann", "bob"], "who is there");

  await tab.page.goto(`${tab.url}/browser/page.html?another`);
  // By the server's own clock. Two, as it asks once more where it was late itself.
  await silentClientIsClosed(settings);
  await silentClientIsClosed(settings);
  ok(!(await members()).includes("ann"), "the page is a member when others that were silent for as long are gone");

  // Loaded anew, it would join nothing.
  await tab.page.goBack({ waitUntil: "commit" });
  await eventually("the page that is back to be a member", async () => (await members()).join() === "ann,bob");
  await other.close();
  await tab.close();
}

export const scenarios = {};
export const special = { foreign_page_at_the_development_app, page_in_the_back_forward_cache };
