// Characters that make a text look like another one.

/** Overrides and isolates of the writing direction, and control characters but for the line feed and the tab. */
// eslint-disable-next-line no-control-regex
const DECEPTIVE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** A text without them. What is left cannot reorder what stands beside it, as long as it is in a `<bdi>`. */
export const cleanText = (text) => text.replace(/\r\n?/g, "\n").replace(DECEPTIVE, "");

/** The same for every string within an answer or an event. */
export function clean(value) {
  if (typeof value === "string") return cleanText(value);
  if (Array.isArray(value)) return value.map(clean);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, clean(inner)]));
}
