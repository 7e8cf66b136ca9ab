// What customers write, as it is shown; and what is kept of what agents write.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { clean } from "../src/clean.js";
import { newClientId } from "../src/desk/client-id.js";
import { draftOf, saveDraft } from "../src/drafts.js";
import { partsOf, plainOf } from "../src/formatting.js";
import { isTakenBack, lineOf, previewOf } from "../src/preview.js";

/** The parts as a text: <kind text>. */
const shape = (parts) =>
  parts.map(({ kind, text, parts }) => (kind === "text" ? text : `<${kind} ${parts ? shape(parts) : text}>`)).join("");
const shown = (text) => shape(partsOf(text));

beforeEach(() => {
  const kept = new Map();
  const methods = {
    getItem: (key) => kept.get(key) ?? null,
    setItem(key, value) { kept.set(key, String(value)); this[key] = value; },
    removeItem(key) { kept.delete(key); delete this[key]; },
  };
  globalThis.localStorage = Object.create(methods);
});

test("WhatsApp's marks are shown as what they mean", () => {
  assert.equal(shown("a *bold* and _italic_ and ~struck~ and `mono` word"), "a <bold bold> and <italic italic> and <struck struck> and <mono mono> word");
  assert.equal(shown("*two _marks_ here*"), "<bold two <italic marks> here>");
  assert.equal(shown("```let a = *b*;\nlet c;```"), "<mono let a = *b*;\nlet c;>");
  assert.equal(shown("*Really*, (_yes_)!"), "<bold Really>, (<italic yes>)!");
});

test("a line of the list shows what is marked without its marks", () => {
  assert.equal(plainOf("*two _marks_* and `x` at https://a.example"), "two marks and x at https://a.example");
});

test("in a line no message is empty: without a text it is called what it is", () => {
  assert.equal(lineOf({ type: "text", content: "A *bold* word" }), "A bold word");
  assert.equal(lineOf({ type: "image", content: "My *bicycle*" }), "Image: My bicycle");
  assert.equal(lineOf({ type: "note", content: "A regular" }), "Note: A regular");
  for (const [type, called] of [["image", "Image"], ["audio", "Audio"], ["sticker", "Sticker"], ["unsupported", "Message"], ["unheard-of", "unheard-of"]]) {
    for (const content of ["", null, undefined]) assert.equal(lineOf({ type, content }), called);
  }
  assert.deepEqual(previewOf({ type: "video", content: "_Look_" }), { kind: "Video", text: "Look" });
});

test("a reaction that is taken back is told from one that is given", () => {
  assert.equal(lineOf({ type: "reaction", content: "👍" }), "Reaction: 👍");
  assert.equal(lineOf({ type: "reaction", content: "" }), "Reaction taken back");
  assert.ok(isTakenBack({ type: "reaction", content: "" }));
  for (const message of [{ type: "reaction", content: "👍" }, { type: "image", content: "" }]) assert.ok(!isTakenBack(message));
});

test("marks that mean nothing are left alone", () => {
  for (const text of ["2*3*4", "snake_case_name", "* a * b", "*open", "**", "a ~ b ~ c", "*two\nlines*", "5 * 4 = 20 *"]) {
    assert.equal(shown(text), text);
  }
});

test("only http and https are links, without the end of their sentence", () => {
  assert.equal(shown("see https://a.example/x?y=1."), "see <link https://a.example/x?y=1>.");
  assert.equal(shown("(http://a.example)"), "(<link http://a.example>)");
  assert.equal(shown("https://a.example/w_(x)"), "<link https://a.example/w_(x)>");
  assert.equal(shown("https://a.example/a_b_c and _this_"), "<link https://a.example/a_b_c> and <italic this>");
  for (const text of ["javascript:alert(1)", "data:text/html,x", "https://", "ftp://a.example"]) assert.equal(shown(text), text);
});

test("long and hostile texts are taken apart in no time", () => {
  for (const text of ["*a".repeat(30_000), "`".repeat(60_000), "_ ".repeat(30_000), "https://".repeat(8000), "```a".repeat(15_000), "*_~".repeat(20_000)]) {
    const start = performance.now();
    partsOf(text);
    assert.ok(performance.now() - start < 1000, `${text.slice(0, 8)}… took too long`);
  }
});

test("characters that turn the writing direction around are taken out, and those of languages stay", () => {
  assert.equal(clean("invoice\u202Egpj.exe"), "invoicegpj.exe");
  assert.equal(clean("\u2066a\u2069\u0007b\u0000"), "ab");
  assert.equal(clean("שלום\u200f عربي 👩\u200d👩"), "שלום\u200f عربي 👩\u200d👩");
  assert.deepEqual(clean({ contact: { name: "\u202Ax" }, list: ["a\r\nb", 1, null] }), { contact: { name: "x" }, list: ["a\nb", 1, null] });
});

test("a draft is its user's and its conversation's", () => {
  saveDraft(5, 1, { text: "Amir's", mode: "note" });
  assert.deepEqual(draftOf(5, 1), { text: "Amir's", mode: "note" });
  assert.deepEqual(draftOf(6, 1), { text: "", mode: "text" });
  assert.deepEqual(draftOf(5, 2), { text: "", mode: "text" });
  saveDraft(5, 1, { text: "", mode: "text" });
  assert.equal(Object.keys(localStorage).length, 0, "nothing is kept of what was sent");
});

test("drafts are bounded, and the oldest go", () => {
  for (let id = 1; id <= 70; id += 1) saveDraft(5, id, { text: `draft ${id}`, mode: "text" });
  assert.equal(Object.keys(localStorage).length, 60);
  assert.equal(draftOf(5, 70).text, "draft 70");
});

test("what is kept and makes no sense is no draft", () => {
  localStorage.setItem("tims.draft.5.1", "{");
  localStorage.setItem("tims.draft.5.2", JSON.stringify({ text: 7 }));
  assert.equal(draftOf(5, 1).text, "");
  assert.equal(draftOf(5, 2).text, "");
});

test("ids of messages are what the backend takes, without a secure context", () => {
  const made = new Set(Array.from({ length: 100 }, newClientId));
  assert.equal(made.size, 100);
  for (const id of made) assert.match(id, /^[A-Za-z0-9_-]{1,64}$/);
});
