// Requests to the backend, as whoever is logged in.
import { clean } from "./clean.js";

/** How long an answer may take. */
const ANSWER_MS = 20_000;
const MEDIA_MS = 120_000;

/** A refusal of the backend's, or a backend that cannot be reached (status 0). */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Whether asking again may help: a refusal stays one, an outage ends. */
export const mayHeal = ({ status }) => status === 0 || status === 408 || status === 429 || status >= 500;

/**
 * @param {object} session
 * @param {() => string | null} session.token the token of who is logged in
 * @param {() => string | undefined} session.socketId the page's connection to the relay
 * @param {(token: string) => void} session.expired called when a token is worth nothing any more
 */
export function createHttp({ token, socketId, expired }) {
  async function request(method, path, { body, accept = "application/json", within = ANSWER_MS } = {}) {
    const used = token();
    const headers = { Accept: accept };
    if (body) headers["Content-Type"] = "application/json";
    if (used) headers.Authorization = `Bearer ${used}`;
    // Whoever publishes on our behalf leaves this connection out.
    if (socketId()) headers["X-Socket-ID"] = socketId();
    let response;
    try {
      const signal = AbortSignal.timeout(within);
      response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal });
    } catch (error) {
      throw new ApiError(0, error.name === "TimeoutError" ? "The server does not answer." : "The server cannot be reached.");
    }
    if (response.ok) return response;
    if (response.status === 401 && used) expired(used);
    const { message } = await response.json().catch(() => ({}));
    throw new ApiError(response.status, clean(message) ?? `The server answered ${response.status}.`);
  }

  return {
    /** Asks for JSON. */
    async json(method, path, body) {
      const response = await request(method, path, { body });
      try {
        return clean(await response.json());
      } catch {
        throw new ApiError(0, "The answer was cut off.");
      }
    },
    /** Fetches a file. */
    async file(path) {
      const response = await request("GET", path, { accept: "*/*", within: MEDIA_MS });
      try {
        return await response.blob();
      } catch {
        throw new ApiError(0, "The file was cut off.");
      }
    },
  };
}
