// Requests to the listener that this page comes from, with the token of whoever looks at it.

const KEPT_AS = "fanfare.token";

/** Why something was not done, in the listener's words. */
export class ApiError extends Error {
  /**
   * @param {number} status 0: it was not reached
   * @param {string} message
   * @param {string} [key] the setting that is wrong, if it is one
   */
  constructor(status, message, key = "") {
    super(message);
    this.status = status;
    this.key = key;
  }
}

/** Dispatches `locked` when a token is asked for. */
export const doors = new EventTarget();

export function token() {
  return sessionStorage.getItem(KEPT_AS) ?? "";
}

/** @param {string} text empty: forget it */
export function keepToken(text) {
  if (text === "") sessionStorage.removeItem(KEPT_AS);
  else sessionStorage.setItem(KEPT_AS, text);
}

/**
 * Asks for something, and returns the JSON that is answered, or null where none is. Throws what the signal ends it with, and an
 * `ApiError` for everything else that goes wrong.
 * @param {string} method
 * @param {string} address
 * @param {{ body?: unknown, signal?: AbortSignal }} [more]
 * @returns {Promise<any>}
 */
export async function send(method, address, more = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (token() !== "") headers.Authorization = `Bearer ${token()}`;
  if (more.body !== undefined) headers["Content-Type"] = "application/json";
  const body = more.body === undefined ? null : JSON.stringify(more.body);
  const options = { method, headers, body, signal: more.signal ?? null };
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (more.signal?.aborted) throw error;
    throw new ApiError(0, "The relay does not answer. Is it running, and is this page's address still the right one?");
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch((error) => {
    // Whoever leaves a page while an answer is on its way gets no answer, rather than an empty one.
    if (more.signal?.aborted) throw error;
    if (response.ok) throw new ApiError(0, "The relay's answer broke off, or is none of the relay's. Is there a proxy before this page?");
    return null;
  });
  if (response.ok) return answer;
  const message = answer?.error ?? `The relay answered with ${response.status}.`;
  if (response.status === 401) doors.dispatchEvent(new CustomEvent("locked", { detail: message }));
  throw new ApiError(response.status, message, answer?.key);
}

/**
 * @param {string} address
 * @param {AbortSignal} [signal]
 */
export function get(address, signal) {
  return send("GET", address, signal === undefined ? {} : { signal });
}

/**
 * A path of the API: what stands in it is encoded, and parameters that are empty are left out. Throws where a segment is one that
 * browsers take for a step, encoded or not: the request would be for something else.
 * @param {string[]} segments
 * @param {Record<string, string | number | boolean | null | undefined>} [query]
 */
export function path(segments, query = {}) {
  const step = segments.find((segment) => segment === "." || segment === "..");
  if (step !== undefined) throw new ApiError(0, `No address can have “${step}” as a part: a browser takes it for a step to another one.`);
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== null && value !== undefined && value !== false) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `/api/${segments.map(encodeURIComponent).join("/")}${text === "" ? "" : `?${text}`}`;
}

/** @param {unknown} error */
export function reason(error) {
  if (!(error instanceof Error)) return String(error);
  const text = error.message;
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(whole) ? whole : `${whole}.`;
}

/**
 * Does something now and then, until the signal says so; not while nobody can see the page.
 * @param {number} every milliseconds
 * @param {AbortSignal} signal
 * @param {() => Promise<void>} task
 */
export async function regularly(every, signal, task) {
  while (!signal.aborted) {
    if (!document.hidden) await task();
    await pause(every, signal);
  }
}

/**
 * Waits so many milliseconds, or until the signal ends it.
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve(undefined);
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}
