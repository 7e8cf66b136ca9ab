import { Avatar } from "./Avatar.jsx";
import { CloseIcon } from "./icons.jsx";
import { phoneNumber, roleName } from "./people.js";
import { full } from "./time.js";

/** The third column: the customer, who answers, and who is looking. */
export function Details({ conversation, state, desk, isOpen, close }) {
  const { contact, department, status, created_at: at } = conversation;
  const { viewers, typing, user } = state;
  return (
    <aside id="details" class={`details ${isOpen ? "open" : ""}`} aria-label="Details">
      <button type="button" class="icon-button close" onClick={close} aria-label="Close details"><CloseIcon /></button>
      <div class="contact">
        <Avatar name={contact.name} size="large" />
        <h2>{contact.name}</h2>
        <a href={`tel:+${contact.phone}`}>{phoneNumber(contact.phone)}</a>
      </div>
      <dl>
        <dt>Department</dt>
        <dd>{department?.name ?? "None"}</dd>
        <dt id="assignee-label">Assigned to</dt>
        <dd><Assignee conversation={conversation} state={state} desk={desk} /></dd>
        <dt>Status</dt>
        <dd><span class={`status ${status}`}>{status}</span></dd>
        <dt>Since</dt>
        <dd><time dateTime={at}>{full(at)}</time></dd>
      </dl>
      <section aria-labelledby="here">
        <h3 id="here">Looking at this now</h3>
        <ul class="people">
          {viewers.map(({ id, name, role }) => (
            <li key={id}>
              <Avatar name={name} colleague size="small" />
              <span class="name">{name}{id === user.id && " (you)"}</span>
              <span class="note">{typing.includes(id) && id !== user.id ? "typing…" : roleName(role)}</span>
            </li>
          ))}
        </ul>
        {viewers.length === 0 && <p class="note">Known when the connection is back.</p>}
      </section>
    </aside>
  );
}

function Assignee({ conversation, state, desk }) {
  const { id, assignee, department } = conversation;
  if (!desk.mayAssign()) return <>{assignee?.name ?? "Nobody"}</>;
  const able = state.colleagues.filter(
    (colleague) => colleague.department_id === null || !department || colleague.department_id === department.id,
  );
  const isListed = !assignee || able.some((colleague) => colleague.id === assignee.id);
  return (
    <select aria-labelledby="assignee-label" value={assignee?.id ?? ""}
      onChange={(event) => desk.assign(id, Number(event.target.value) || null)}>
      <option value="">Nobody</option>
      {!isListed && <option value={assignee.id}>{assignee.name}</option>}
      {able.map((colleague) => <option key={colleague.id} value={colleague.id}>{colleague.name}</option>)}
    </select>
  );
}
