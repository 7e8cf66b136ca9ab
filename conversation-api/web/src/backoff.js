/** How long after a failure something is tried again, later and later. */
const WAITS_MS = [1000, 2000, 4000, 8000, 15_000, 30_000];

/** When to try after the `failures`th failure, from 0 on, with a spread, so that not all pages come back at once. */
export const waitAfter = (failures) =>
  WAITS_MS[Math.min(failures, WAITS_MS.length - 1)] * (0.75 + Math.random() / 2);
