// Points in time, in the words and the zone of whoever reads them.
import { useEffect, useState } from "preact/hooks";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const SHORT_DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export const clock = (iso) => CLOCK.format(new Date(iso));
export const full = (iso) => FULL.format(new Date(iso));
export const dayOf = (iso) => new Date(iso).toDateString();

/** "Today", "Yesterday" or the day. */
export function dayName(iso) {
  const yesterday = new Date();
  yesterday.setDate(yesterday.getDate() - 1);
  if (dayOf(iso) === new Date().toDateString()) return "Today";
  return dayOf(iso) === yesterday.toDateString() ? "Yesterday" : DAY.format(new Date(iso));
}

/** The time of what was today, the day of everything else. */
export function moment(iso) {
  return dayOf(iso) === new Date().toDateString() ? clock(iso) : SHORT_DAY.format(new Date(iso));
}

/** "23 h" or "12 min", never less than a minute. */
export const duration = (milliseconds) =>
  milliseconds >= HOUR_MS ? `${Math.floor(milliseconds / HOUR_MS)} h` : `${Math.max(1, Math.floor(milliseconds / MINUTE_MS))} min`;

/** How many milliseconds are left until a point in time, brought up to date twice a minute; 0 when it is over or none. */
export function useTimeLeft(iso) {
  const [, redraw] = useState(0);
  const left = iso ? Math.max(0, new Date(iso) - Date.now()) : 0;
  const isOver = left === 0;
  useEffect(() => {
    if (isOver) return undefined;
    const timer = setTimeout(() => redraw((count) => count + 1), Math.min(left + 50, MINUTE_MS / 2));
    return () => clearTimeout(timer);
  });
  return left;
}
