// The live stream, opened again whenever it breaks off.
import { ApiError, pause, reason, send } from "./api.mjs";

/** How long to wait before the next try, in milliseconds: at first, and at most. */
const FIRST_WAIT = 1000, LONGEST_WAIT = 15_000;

/** How long lines are gathered at least, in milliseconds, and how much longer than drawing them took. */
const GATHERED = 50, REST = 4;

/**
 * What passes through the relay, as the live stream has it.
 * @typedef {object} Line
 * @property {string} type
 * @property {number} time milliseconds since 1970
 * @property {string} [app]
 * @property {string} [channel]
 * @property {string} [event]
 * @property {string} [socket_id]
 * @property {string} [transport]
 * @property {string} [address]
 * @property {string} [user_id]
 * @property {string} [data]
 * @property {number} [code]
 * @property {string} [message]
 * @property {boolean} [truncated]
 * @property {number} [count] of what was left out
 */

/** @typedef {{ app?: string, channel?: string, event?: string }} Filter */
/** @typedef {"connecting" | "live" | "lost"} State */

/**
 * Opens the stream until the signal ends it. Lines are handed out in bundles, so that most of the time is left to whoever uses the page.
 * @param {Filter} filter
 * @param {AbortSignal} signal
 * @param {(lines: Line[], leftOut: number) => void} onLines
 * @param {(state: State, why: string) => void} onState
 */
export async function watch(filter, signal, onLines, onState) {
  let wait = FIRST_WAIT;
  while (!signal.aborted) {
    onState("connecting", "");
    const why = await once(filter, signal, onLines, () => { wait = FIRST_WAIT; onState("live", ""); });
    if (signal.aborted) return;
    onState("lost", why);
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

/**
 * One connection, from its ticket to its end. Returns why it ended.
 * @param {Filter} filter
 * @param {AbortSignal} signal
 * @param {(lines: Line[], leftOut: number) => void} onLines
 * @param {() => void} onOpen
 * @returns {Promise<string>}
 */
async function once(filter, signal, onLines, onOpen) {
  let ticket;
  try {
    ({ ticket } = await send("POST", "/api/tickets", { signal }));
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return "A token is asked for.";
    return reason(error);
  }
  const url = new URL("/stream", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  for (const [name, value] of Object.entries(filter)) if (value !== undefined && value !== "") url.searchParams.set(name, value);
  const socket = new WebSocket(url, ["fanfare.stream", `ticket.${ticket}`]);
  /** @type {Line[]} */ let waiting = [];
  let leftOut = 0, scheduled = false, took = 0;
  const flush = () => {
    scheduled = false;
    const lines = waiting, missed = leftOut;
    waiting = [];
    leftOut = 0;
    const began = performance.now();
    if (!signal.aborted) onLines(lines, missed);
    took = performance.now() - began;
  };
  return new Promise((resolve) => {
    const end = () => socket.close();
    signal.addEventListener("abort", end, { once: true });
    socket.onopen = onOpen;
    socket.onmessage = ({ data }) => {
      const line = /** @type {Line} */ (JSON.parse(data));
      if (line.type === "dropped") leftOut += line.count ?? 0;
      else waiting.push(line);
      if (!scheduled) {
        scheduled = true;
        // Not by animation frames: those stop while nobody sees the page, and lines would heap up.
        setTimeout(flush, Math.max(GATHERED, REST * took));
      }
    };
    socket.onclose = ({ code, reason: text }) => {
      signal.removeEventListener("abort", end);
      if (text !== "") resolve(`The relay closed the stream: ${text}.`);
      else if (code === 1006) resolve("The stream broke off, or was refused: there may be eight watchers already.");
      else resolve("The stream has ended.");
    };
  });
}
