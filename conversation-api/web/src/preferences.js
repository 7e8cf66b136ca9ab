// What somebody has switched on or off, by user.
import { load, save } from "./storage.js";

const DEFAULTS = { sound: false, notifications: false, shortcuts: true };
const keyOf = (userId) => `tims.preferences.${userId}`;

export function preferencesOf(userId) {
  const saved = load(keyOf(userId)) ?? {};
  const known = Object.entries(DEFAULTS).map(([name, preset]) => [
    name, typeof saved[name] === "boolean" ? saved[name] : preset,
  ]);
  return Object.fromEntries(known);
}

export const savePreferences = (userId, preferences) => save(keyOf(userId), preferences);
