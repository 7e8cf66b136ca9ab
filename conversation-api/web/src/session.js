// Who is logged in, for as long as the tab is open.

const KEY = "tims.session";

export function savedSession() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export function saveSession(session) {
  try {
    if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
    else sessionStorage.removeItem(KEY);
  } catch {
    // A browser that stores nothing asks for the password again after a reload.
  }
}
