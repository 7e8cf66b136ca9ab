// WhatsApp's *bold*, _italic_, ~struck~ and `mono`, and links, as a tree.

const EDGE = String.raw`[\s\p{P}\p{S}]`;
const between = (name, mark) =>
  String.raw`(?<=^|${EDGE})${mark}(?<${name}>[^\s${mark}](?:[^\n${mark}]*[^\s${mark}])?)${mark}(?=$|${EDGE})`;

const PATTERN = new RegExp(
  [
    String.raw`\x60\x60\x60(?<block>[^\x60]+)\x60\x60\x60`,
    String.raw`\x60(?<mono>[^\x60\n]+)\x60`,
    String.raw`(?<link>https?:\/\/[^\s<>"]+)`,
    between("bold", String.raw`\*`),
    between("italic", "_"),
    between("struck", "~"),
  ].join("|"),
  "gu",
);

/** What ends a sentence rather than a link. */
const TRAILING = /[.,;:!?'"»”’\])}]+$/u;

/** The parts of a text: `{ kind: "text" | "mono" | "link", text }`, or `{ kind: "bold" | "italic" | "struck", parts }`. */
export function partsOf(text) {
  const parts = [];
  let end = 0;
  const addText = (upTo) => upTo > end && parts.push({ kind: "text", text: text.slice(end, upTo) });
  for (const match of text.matchAll(PATTERN)) {
    const { part, length } = partOf(match);
    if (!part) continue;
    addText(match.index);
    parts.push(part);
    end = match.index + length;
  }
  addText(text.length);
  return parts;
}

/** The text without its marks, for where there is a line for it. */
export const plainOf = (text) => withoutMarks(partsOf(text));
const withoutMarks = (parts) => parts.map(({ text, parts }) => text ?? withoutMarks(parts)).join("");

function partOf({ 0: whole, groups }) {
  if (groups.link) {
    const text = linkWithin(groups.link);
    return isAddress(text) ? { part: { kind: "link", text }, length: text.length } : { part: null };
  }
  const mono = groups.block ?? groups.mono;
  if (mono !== undefined) return { part: { kind: "mono", text: mono }, length: whole.length };
  const kind = ["bold", "italic", "struck"].find((name) => groups[name] !== undefined);
  return { part: { kind, parts: partsOf(groups[kind]) }, length: whole.length };
}

/** A link without the end of its sentence; a bracket that it opens itself is its own. */
function linkWithin(text) {
  const bare = text.replace(TRAILING, "");
  return bare.includes("(") && text[bare.length] === ")" ? text.slice(0, bare.length + 1) : bare;
}

function isAddress(text) {
  try {
    return ["http:", "https:"].includes(new URL(text).protocol);
  } catch {
    return false;
  }
}
