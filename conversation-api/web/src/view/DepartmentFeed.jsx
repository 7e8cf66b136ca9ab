import { find } from "../desk/conversations.js";
import { conversationHref } from "../route.js";
import { Avatar } from "./Avatar.jsx";
import { BackLink } from "./Thread.jsx";
import { clock, dayName, dayOf, full } from "./time.js";

/** What is said in a department, as it happens; the newest first. */
export function DepartmentFeed({ state, department }) {
  if (!department) return <p class="empty">{state.conversations ? "This is not your department." : "Fetching…"}</p>;
  const messages = [...(state.feeds[department.id] ?? [])].reverse();
  return (
    <section class="feed" aria-labelledby="feed-title">
      <header>
        <BackLink />
        <div class="who">
          <h2 id="feed-title">{department.name}</h2>
          <span class="note">Messages of the department, as they come</span>
        </div>
      </header>
      {messages.length === 0 && <p class="empty">Nothing has been said yet.</p>}
      <ol role="log" aria-label={`Messages in ${department.name}`}>
        {messages.map((message, index) => {
          const isNewDay = index === 0 || dayOf(messages[index - 1].created_at) !== dayOf(message.created_at);
          return [
            isNewDay && <li class="day" key={`day-${message.id}`}><span>{dayName(message.created_at)}</span></li>,
            <li key={message.id} data-message={message.id}><Entry message={message} state={state} /></li>,
          ];
        })}
      </ol>
    </section>
  );
}

function Entry({ message, state }) {
  const { conversation_id: id, sender, content, created_at: at } = message;
  const conversation = find(state.conversations ?? [], id);
  const customer = message.contact?.name ?? conversation?.contact.name ?? `conversation ${id}`;
  const body = (
    <>
      <Avatar name={sender?.name ?? customer} colleague={Boolean(sender)} />
      <span class="people">
        <b>{sender?.name ?? customer}</b>{sender && <span class="note"> to {customer}</span>}
      </span>
      <time dateTime={at} title={full(at)}>{clock(at)}</time>
      <span class="content" dir="auto">{content}</span>
    </>
  );
  // A colleague's conversation is heard of here, but not open to agents.
  return conversation ? <a class="entry" href={conversationHref(id)}>{body}</a> : <div class="entry">{body}</div>;
}
