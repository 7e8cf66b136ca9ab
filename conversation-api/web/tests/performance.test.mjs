// A conversation of 2,000 messages is as quick to write in as one of two.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { closeAll, hashOf, listShows, sees } from "./lib/page.mjs";
import { CUSTOMERS } from "./lib/whatsapp.mjs";
import { USERS, startWorld } from "./lib/world.mjs";

const { barbara } = CUSTOMERS;
const MESSAGES = 2000;
/** What a key and a page of earlier messages may take, in the median: a frame, and what seems to be at once. */
const KEY_MS = 16;
const PAGE_MS = 100;
/** Other work on the machine must not fail the test: what the page does is counted, and time has a generous bound. */
const PATIENCE = process.env.INBOX_TARGETS ? 1 : 5;
let world;
before(async () => { world = await startWorld(); });
after(() => world?.close());

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

async function fill() {
  let next = 1;
  const write = async () => {
    while (next <= MESSAGES) {
      const number = next++;
      const content = `Line ${number} of a long conversation, with *some* of it marked.`;
      await world.send(USERS.manager, { conversation_id: barbara.conversation, type: "note", content });
    }
  };
  await Promise.all(Array.from({ length: 6 }, write));
  // Events come in order: after this one, none of the others' does.
  const observer = await world.open(USERS.supervisor);
  await world.write(barbara, "The last one.");
  await listShows(observer, barbara, "The last one.");
  await closeAll(observer);
}

/** Fetches a page of earlier messages; returns how long the page was busy from the answer to the layout. */
const fetchEarlier = (page) =>
  page.evaluate(async () => {
    const shown = document.querySelectorAll("[data-message]").length;
    const { json } = Response.prototype;
    let answered = 0;
    Response.prototype.json = async function measured() {
      const answer = await json.call(this);
      if (this.url.includes("before=")) answered = performance.now();
      return answer;
    };
    const drawn = new Promise((resolve) => {
      const observer = new MutationObserver(() => {
        if (document.querySelectorAll("[data-message]").length === shown) return;
        observer.disconnect();
        document.querySelector(".messages").getBoundingClientRect();
        resolve(performance.now());
      });
      observer.observe(document.querySelector(".messages-content"), { childList: true });
    });
    document.querySelector(".messages button.more").click();
    const took = (await drawn) - answered;
    Response.prototype.json = json;
    return took;
  });

test(`typing and reading back stay quick with ${MESSAGES} messages`, async () => {
  await fill();
  const inbox = await world.open(USERS.manager, { hash: hashOf(barbara) });
  const { page } = inbox;
  await page.locator("[data-message]").last().waitFor();
  const earlier = [];
  // Whatever is fetched by itself, because the top is in view, is done when the button is there again, or gone.
  const more = () => page.waitForFunction(() => !document.querySelector("p.more") && { isMore: !!document.querySelector(".messages button.more") });
  while ((await (await more()).jsonValue()).isMore) earlier.push(await fetchEarlier(page));
  const shown = await page.locator("[data-message]").count();
  assert.equal(shown, MESSAGES + 2);

  // Those out of view are not laid out, and are there for a search and for screen readers.
  const laidOut = await page.evaluate(() => {
    const isLaidOut = (message) => message.firstElementChild.checkVisibility({ contentVisibilityAuto: true });
    return [...document.querySelectorAll("[data-message]")].filter(isLaidOut).length;
  });
  assert.ok(laidOut < 150, `${laidOut} of ${shown} are laid out`);

  const { keys, changes } = await page.evaluate(async () => {
    let changes = 0;
    const observer = new MutationObserver((records) => { changes += records.length; });
    observer.observe(document.querySelector(".messages"), { subtree: true, childList: true, attributes: true, characterData: true });
    const field = document.querySelector("#composer");
    const keys = [];
    for (let key = 0; key < 40; key += 1) {
      const start = performance.now();
      field.value += key % 10 === 9 ? "\n" : "x";
      field.dispatchEvent(new InputEvent("input", { bubbles: true }));
      await Promise.resolve();
      document.body.getBoundingClientRect();
      keys.push(performance.now() - start);
      await new Promise(requestAnimationFrame);
    }
    observer.disconnect();
    return { keys, changes };
  });
  assert.equal(changes, 0, "no message is drawn anew for a key");
  const [key, fetched] = [median(keys), median(earlier)];
  console.log(`# ${shown} messages: ${key.toFixed(1)} ms a key, ${fetched.toFixed(1)} ms for a page of earlier messages, ${laidOut} laid out`);
  assert.ok(key < KEY_MS * PATIENCE, `a key takes ${key} ms`);
  assert.ok(fetched < PAGE_MS * PATIENCE, `a page takes ${fetched} ms`);

  // One more message draws one more message.
  const drawn = page.evaluate(() => new Promise((resolve) => {
    new MutationObserver((records, observer) => {
      observer.disconnect();
      resolve(records.flatMap(({ addedNodes }) => [...addedNodes]).length);
    }).observe(document.querySelector(".messages-content"), { childList: true, subtree: true });
  }));
  await world.write(barbara, "One more.");
  await sees(inbox, "One more.");
  assert.ok((await drawn) <= 2);
  await closeAll(inbox);
});
