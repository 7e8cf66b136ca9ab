// Subscriptions that failed, tried again.
import { waitAfter } from "../backoff.js";

/** Whether a subscription was refused for good. Without a status, the backend could not even be asked. */
export const isFinal = (status) => status >= 400 && status < 500 && status !== 408 && status !== 429;

/** The log-in is worth nothing any more. */
export const UNAUTHENTICATED = 401;

/** Counts failures by name, and calls back later and later. */
export function createRetries(again) {
  const failures = new Map();
  const timers = new Map();

  function forget(name) {
    clearTimeout(timers.get(name));
    timers.delete(name);
    failures.delete(name);
  }

  return {
    failed(name) {
      const before = failures.get(name) ?? 0;
      failures.set(name, before + 1);
      clearTimeout(timers.get(name));
      timers.set(name, setTimeout(again, waitAfter(before), name));
    },
    forget,
    stop: () => [...timers.keys()].forEach(forget),
  };
}
