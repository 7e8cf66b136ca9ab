// Who is logged in, in all tabs of the browser.
import { load, save } from "./storage.js";

const KEY = "tims.session";

export function savedSession() {
  const session = load(KEY);
  return session?.token && session.user ? session : null;
}

export const saveSession = (session) => save(KEY, session);

/** Forgets a session, unless another tab has begun a new one. */
export function forgetSession(token) {
  if (load(KEY)?.token === token) save(KEY, null);
}

/** Calls back when another tab logs in (with the session) or out (with null). */
export function onSessionChange(changed) {
  addEventListener("storage", ({ key, storageArea }) => {
    if (storageArea === localStorage && (key === KEY || key === null)) changed(savedSession());
  });
}
