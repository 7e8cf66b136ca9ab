// The departments that a user watches, and what is said there.
import { withMessages } from "./messages.js";

/** Messages of a department that are kept on the screen. */
const MOST = 200;

/** Everybody watches their own department; those who have none watch all that they know of. */
export function departmentsOf(user, known, conversations) {
  const byId = new Map(known.map((department) => [department.id, department]));
  for (const { department } of conversations) if (department) byId.set(department.id, department);
  const own = user.department_id;
  if (own === null) return [...byId.values()].sort((a, b) => a.id - b.id);
  return [byId.get(own) ?? { id: own, name: `Department ${own}` }];
}

/** Adds messages to a feed, the newest last. */
export const withNews = (feed, messages) => withMessages(feed, messages).sort(byTime).slice(-MOST);

const byTime = (a, b) => a.created_at.localeCompare(b.created_at) || a.id - b.id;

/** The last messages of a department's conversations, as the list tells them. */
export const lastMessages = (conversations, departmentId) =>
  conversations
    .filter(({ department, last_message }) => department?.id === departmentId && last_message)
    .map(({ last_message, contact }) => ({ ...last_message, contact }));
