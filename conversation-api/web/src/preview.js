// A message in a line: in lists, quotes, notifications and what screen readers are given.
import { plainOf } from "./formatting.js";

/** What messages are called that are not plain text. */
export const KINDS = {
  image: "Image", sticker: "Sticker", video: "Video", audio: "Audio", document: "Document", location: "Place",
  contacts: "Contact", reaction: "Reaction", unsupported: "Message", note: "Note",
};

/** Whether a message only takes an earlier reaction back. */
export const isTakenBack = ({ type, content }) => type === "reaction" && !content;

/** What a message is called, and its text without marks: a picture or a recording may have none, but both are never empty. */
export function previewOf(message) {
  const { type, content } = message;
  if (isTakenBack(message)) return { kind: "Reaction taken back", text: "" };
  const text = plainOf(content ?? "");
  return { kind: KINDS[type] ?? (text ? "" : type), text };
}

/** The same as one text. */
export function lineOf(message) {
  const { kind, text } = previewOf(message);
  return [kind, text].filter(Boolean).join(": ");
}
