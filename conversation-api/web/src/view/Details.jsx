import { mayBeAssigned } from "../desk/permissions.js";
import { Avatar } from "./Avatar.jsx";
import { CloseIcon } from "./icons.jsx";
import { phoneNumber, roleName } from "./people.js";
import { full } from "./time.js";

/** The third column: the customer, who answers, and who is looking. */
export function Details({ conversation, state, desk, isOpen, close }) {
  const { contact, status, created_at: at } = conversation;
  return (
    <aside id="details" class={`details ${isOpen ? "open" : ""}`} aria-label="Details">
      <button type="button" class="icon-button close" onClick={close} aria-label="Close details"><CloseIcon /></button>
      <div class="contact">
        <Avatar name={contact.name} size="large" />
        <h2><bdi>{contact.name}</bdi></h2>
        <a href={`tel:+${contact.phone}`}>{phoneNumber(contact.phone)}</a>
      </div>
      <dl>
        <dt id="assignee-label">Assigned to</dt>
        <dd><Assignee conversation={conversation} state={state} desk={desk} /></dd>
        <dt id="department-label">Department</dt>
        <dd><Department conversation={conversation} departments={state.departments} desk={desk} /></dd>
        <dt>Status</dt>
        <dd><span class={`status ${status}`}>{status === "closed" ? "resolved" : status}</span></dd>
        {at && <dt>Since</dt>}
        {at && <dd><time dateTime={at}>{full(at)}</time></dd>}
      </dl>
      {conversation.isReadable && conversation.can.write && <Here state={state} />}
    </aside>
  );
}

/** Who is looking at the conversation, by its presence channel. */
function Here({ state: { viewers, typing, user, presence, connection } }) {
  const isLate = presence === "failed" || connection !== "connected";
  return (
    <section aria-labelledby="here">
      <h3 id="here">Looking at this now</h3>
      <ul class="people">
        {viewers.map(({ id, name, role }) => (
          <li key={id}>
            <Avatar name={name} colleague size="small" />
            <span class="name"><bdi>{name}</bdi>{id === user.id && " (you)"}</span>
            <span class="note">{typing.includes(id) && id !== user.id ? "typing…" : roleName(role)}</span>
          </li>
        ))}
      </ul>
      {viewers.length === 0 && <p class="note" role="status">{isLate ? "Not known now. Trying again…" : "Asking…"}</p>}
    </section>
  );
}

function Assignee({ conversation, state: { colleagues, user }, desk }) {
  const { id, assignee, can } = conversation;
  if (!can.assign) {
    return (
      <span class="assignee-line">
        <span><bdi>{assignee ? assignee.name : "Nobody"}</bdi>{assignee?.id === user.id && " (you)"}</span>
        {can.take && !assignee && <button type="button" class="link" onClick={() => desk.take(id)}>Take it</button>}
      </span>
    );
  }
  const able = colleagues.data.filter((colleague) => mayBeAssigned(colleague, conversation));
  const isListed = !assignee || able.some((colleague) => colleague.id === assignee.id);
  return (
    <>
      <select aria-labelledby="assignee-label" value={assignee?.id ?? ""} disabled={colleagues.state === "loading"}
        onChange={(event) => desk.assign(id, Number(event.target.value) || null)}>
        <option value="">Nobody</option>
        {!isListed && <option value={assignee.id}>{assignee.name}</option>}
        {able.map(({ id, name }) => <option key={id} value={id}>{id === user.id ? `${name} (you)` : name}</option>)}
      </select>
      <NotFetched list={colleagues} what="Colleagues" desk={desk} />
    </>
  );
}

function Department({ conversation: { id, department, can }, departments, desk }) {
  if (!can.move || departments.state === "loading") return <bdi>{department?.name ?? "None"}</bdi>;
  if (departments.state === "failed") {
    return <><bdi>{department?.name ?? "None"}</bdi><NotFetched list={departments} what="Departments" desk={desk} /></>;
  }
  return (
    <select aria-labelledby="department-label" value={department?.id ?? ""}
      onChange={(event) => desk.move(id, Number(event.target.value))}>
      {!department && <option value="">None</option>}
      {departments.data.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}
    </select>
  );
}

function NotFetched({ list, what, desk }) {
  if (list.state !== "failed") return null;
  return <p class="note">{what} could not be fetched. <button type="button" class="link" onClick={desk.catchUp}>Try again</button></p>;
}
