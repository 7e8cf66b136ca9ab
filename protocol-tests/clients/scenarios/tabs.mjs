// Laravel Echo in two tabs of different users. These scenarios drive the tabs from outside.
import { equal } from "../lib/check.mjs";

/** Joins a presence channel in a tab, and returns what to ask the tab afterwards. */
async function join({ page }, user, name) {
  await page.evaluate(([as, room]) => {
    const calls = (what) => new window.Inbox(`${what} in the tab of ${as}`);
    window.heard = { here: calls("here"), joining: calls("joining"), leaving: calls("leaving"), whisper: calls("whisper") };
    window.room = window.world.echo(as).join(room)
      .here((users) => window.heard.here.push(users))
      .joining((other) => window.heard.joining.push(other))
      .leaving((other) => window.heard.leaving.push(other))
      .listenForWhisper("typing", (data) => window.heard.whisper.push(data));
  }, [user, name]);
  return {
    next: (what) => page.evaluate((which) => window.heard[which].next(), what),
    pending: (what) => page.evaluate((which) => window.heard[which].pending, what),
    whisper: (data) => page.evaluate((payload) => { window.room.whisper("typing", payload); }, data),
  };
}

async function presence_and_whispers({ openPage, unique }) {
  const name = unique("room.");
  const [annsTab, bobsTab] = [await openPage(), await openPage()];
  const ann = await join(annsTab, "ann", name);
  equal(await ann.next("here"), [{ name: "User ann" }], "who was here first");
  const bob = await join(bobsTab, "bob", name);
  const here = (await bob.next("here")).map((info) => info.name).sort();
  equal(here, ["User ann", "User bob"], "who was here for the second");
  equal(await ann.next("joining"), { name: "User bob" }, "who joined");

  await ann.whisper({ from: "ann" });
  equal(await bob.next("whisper"), { from: "ann" }, "what ann whispered");
  await bob.whisper({ from: "bob" });
  equal(await ann.next("whisper"), { from: "bob" }, "what bob whispered");
  equal(await bob.pending("whisper"), [], "what bob heard of himself");

  await bobsTab.close();
  equal(await ann.next("leaving"), { name: "User bob" }, "who left by closing the tab");
  await annsTab.close();
}

export const scenarios = { presence_and_whispers };
export const special = {};
