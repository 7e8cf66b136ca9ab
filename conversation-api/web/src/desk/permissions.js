// What a user may do, for the time between an event and the backend's next answer. The backend decides.

const SEES_ALL = new Set(["admin", "operation_manager"]);
const SEES_DEPARTMENT = new Set(["manager", "account_manager"]);
const ASSIGNS = new Set(["admin", "operation_manager", "manager"]);

const isOwn = (user, { assignee }) => assignee?.id === user.id;
const isOfDepartment = (user, { department }) => department != null && department.id === user.department_id;

/** Whether somebody may listen to a conversation and write in it. */
export function mayWrite(user, conversation) {
  if (SEES_ALL.has(user.role)) return true;
  if (SEES_DEPARTMENT.has(user.role)) return isOfDepartment(user, conversation);
  return isOwn(user, conversation);
}

/** Whether somebody may open a conversation: agents also those of their department that nobody has. */
export const mayRead = (user, conversation) =>
  mayWrite(user, conversation) || (!conversation.assignee && isOfDepartment(user, conversation));

/** Whether a conversation can be somebody's. */
export const mayBeAssigned = (user, { department }) =>
  SEES_ALL.has(user.role) || department == null || department.id === user.department_id;

/** As the backend answers it in a conversation's `can`. */
export function permissions(user, conversation) {
  const write = mayWrite(user, conversation);
  const assign = write && ASSIGNS.has(user.role);
  return {
    write,
    take: !conversation.assignee && mayRead(user, conversation) && mayBeAssigned(user, conversation),
    assign,
    resolve: write,
    move: assign || isOwn(user, conversation),
  };
}
