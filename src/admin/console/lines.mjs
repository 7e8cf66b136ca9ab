// What lines of the live stream mean, in words.
import { visible, visibleLines } from "./dom.mjs";

/** @import { Line } from "./stream.mjs" */

/** The kinds of lines: how they are called, and the class of their mark. */
export const KINDS = /** @type {Record<string, { name: string, tone: string }>} */ ({
  publish: { name: "publish", tone: "tone-1" },
  client_event: { name: "client event", tone: "tone-2" },
  sign_in: { name: "sign-in", tone: "tone-3" },
  subscribe: { name: "subscribe", tone: "tone-3" },
  unsubscribe: { name: "unsubscribe", tone: "tone-quiet" },
  connect: { name: "connect", tone: "tone-3" },
  disconnect: { name: "disconnect", tone: "tone-quiet" },
  error: { name: "error", tone: "tone-bad" },
});

/** What close codes of the protocol mean, and what clients do then. */
const CODES = /** @type {Record<number, string>} */ ({
  1000: "the client closed it",
  1001: "the page was left, or the relay is stopping",
  1006: "it broke off without a close frame",
  1009: "a message was too large",
  4000: "TLS is needed",
  4001: "no app has this key",
  4003: "the app is disabled",
  4004: "the app has as many connections as it may have",
  4006: "the path is invalid",
  4007: "the protocol's version is not supported",
  4008: "no version of the protocol was named",
  4009: "the connection is not authorized, or was ended by the operator: clients do not come back",
  4100: "the relay is over capacity, or the client took its events too slowly: clients come back after a while",
  4200: "the client is asked to connect again at once",
  4201: "no answer to a ping in time",
  4202: "nothing was done for too long",
  4301: "the client sent too many events",
});

/** @param {number | undefined} code */
export function codeMeans(code) {
  if (code === undefined) return "it broke off without a close code";
  return CODES[code] ?? (code >= 4000 && code < 4100 ? "the client is not to come back as it is" : "a code that is none of the protocol's");
}

/** @param {Line} line */
export function kindOf(line) {
  return KINDS[line.type] ?? { name: visible(line.type), tone: "tone-quiet" };
}

/**
 * What a line says beyond its channel and event, in one line.
 * @param {Line} line
 */
export function summary(line) {
  if (line.type === "error") return visible(line.message ?? `code ${line.code}`);
  if (line.type === "disconnect") return `${line.code ?? "no code"}: ${codeMeans(line.code)}`;
  if (line.type === "connect") return visible([line.address && `from ${line.address}`, line.transport].filter(Boolean).join(", ") || "over a WebSocket");
  if (line.data !== undefined) return visible(line.data);
  return "";
}

/**
 * An event's data, with JSON laid out, in lines.
 * @param {string} data
 */
export function pretty(data) {
  try {
    return visibleLines(JSON.stringify(JSON.parse(data), null, 2));
  } catch {
    return visibleLines(data);
  }
}

/**
 * Whether a text, in lower case, is anywhere in a line.
 * @param {Line} line
 * @param {string} wanted
 */
export function contains(line, wanted) {
  if (wanted === "") return true;
  const texts = [line.channel, line.event, line.socket_id, line.user_id, line.data, line.message, line.address, line.app];
  return texts.some((text) => text !== undefined && text.toLowerCase().includes(wanted));
}
