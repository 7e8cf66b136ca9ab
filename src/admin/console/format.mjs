// Numbers and times for people.
import { h } from "./dom.mjs";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const MOMENT = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const MINUTE = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** @param {number} value */
export function count(value) {
  return Math.abs(value) < 100_000 ? WHOLE.format(value) : SHORT.format(value);
}

/** @param {number} value a second */
export function rate(value) {
  if (value > 0 && value < 10) return value.toFixed(1);
  return count(value);
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let value = bytes / 1000, unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 2 : 0)} ms`;
  return `${seconds.toFixed(1)} s`;
}

/**
 * How long ago a time is.
 * @param {number} seconds since 1970
 * @param {number} [now]
 */
export function ago(seconds, now = Date.now() / 1000) {
  const passed = Math.max(0, now - seconds);
  if (passed < 5) return "just now";
  if (passed < 60) return `${Math.floor(passed)} s ago`;
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  if (passed < 86_400) return `${Math.floor(passed / 3600)} h ago`;
  return `${Math.floor(passed / 86_400)} d ago`;
}

/** @param {number} seconds since 1970 */
export function moment(seconds) {
  return MOMENT.format(seconds * 1000);
}

/** @param {number} milliseconds since 1970 */
export function clock(milliseconds) {
  return `${CLOCK.format(milliseconds)}.${String(Math.floor(milliseconds) % 1000).padStart(3, "0")}`;
}

/** @param {number} seconds since 1970 */
export function minute(seconds) {
  return MINUTE.format(seconds * 1000);
}

/**
 * A time as how long ago it is, and in full where it is pointed to.
 * @param {number} seconds since 1970
 */
export function when(seconds) {
  const iso = new Date(seconds * 1000).toISOString();
  return h("time", { datetime: iso, title: moment(seconds) }, ago(seconds));
}

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
