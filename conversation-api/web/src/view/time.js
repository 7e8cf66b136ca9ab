// Points in time, in the words and the zone of whoever reads them.

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const SHORT_DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

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
