// What a page knows, and what it learns it from, without a backend.
import { createRecords } from "../../src/desk/records.js";
import { EMPTY } from "../../src/desk/state.js";
import { createStore } from "../../src/store.js";

export const at = (second) => `2026-01-01T00:00:${String(second).padStart(2, "0")}.000Z`;
export const message = (id, more = {}) => ({
  id, conversation_id: 1, direction: "inbound", type: "text", content: `message ${id}`, sender: null, status: null,
  created_at: at(id), ...more,
});
export const SALES = { id: 1, name: "Sales" };
export const SUPPORT = { id: 2, name: "Support" };
export const AMIR = { id: 5, name: "Amir", role: "agent", department_id: 1 };
export const ANA = { id: 6, name: "Ana" };
export const SOL = { id: 4, name: "Sol", role: "account_manager", department_id: 1 };
export const conversation = (id, last, more = {}) => ({
  id, status: "open", contact: { id, name: `Customer ${id}` }, department: SALES, assignee: null, unread_count: 0,
  last_message: last, newest_message_id: last.id, last_message_at: last.created_at, isReadable: true, can: {}, ...more,
});
export const ids = (list) => list.map(({ id }) => id);
export const page = (data, next_before = null) => ({ data, meta: { next_before } });

/** What is known by `user`, and how often the counts could not be kept up. */
export function records(user, known = []) {
  const store = createStore({ ...EMPTY, user, conversations: Object.fromEntries(known.map((c) => [c.id, c])) });
  let miscounts = 0;
  return { store, records: createRecords({ store, miscounted: () => { miscounts += 1; } }), miscounts: () => miscounts };
}

export const description = (id, version, more = {}) => {
  const { status, contact, department, assignee } = conversation(id, message(1));
  return { id, status, contact, department, assignee, window_ends_at: null, version, ...more };
};
