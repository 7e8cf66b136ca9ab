import { useState } from "preact/hooks";

import { conversationHref } from "../route.js";
import { Avatar } from "./Avatar.jsx";
import { plural } from "./people.js";
import { full, moment } from "./time.js";

export function ConversationList({ conversations, openId, hasMore, user, fetchMore }) {
  const [onlyUnread, setOnlyUnread] = useState(false);
  if (!conversations) return <p class="empty list">Fetching conversations…</p>;
  const unread = conversations.filter(({ unread_count }) => unread_count > 0);
  const shown = onlyUnread ? conversations.filter((c) => c.unread_count > 0 || c.id === openId) : conversations;
  return (
    <section class="conversations" aria-label="Conversations">
      <div class="filters" role="group" aria-label="Which conversations">
        <button type="button" aria-pressed={!onlyUnread} onClick={() => setOnlyUnread(false)}>All</button>
        <button type="button" aria-pressed={onlyUnread} onClick={() => setOnlyUnread(true)}>
          Unread{unread.length > 0 && <span class="count">{unread.length}</span>}
        </button>
      </div>
      {shown.length === 0 && <p class="empty list">{onlyUnread ? "All is read." : "No conversations yet."}</p>}
      <ul>
        {shown.map((conversation) => (
          <li key={conversation.id}>
            <Row conversation={conversation} isOpen={conversation.id === openId} user={user} />
          </li>
        ))}
      </ul>
      {hasMore && !onlyUnread && <button type="button" class="more" onClick={fetchMore}>Older conversations</button>}
    </section>
  );
}

function Row({ conversation, isOpen, user }) {
  const { id, contact, last_message: last, last_message_at: at, unread_count: unread, assignee } = conversation;
  return (
    <a class={`row ${unread > 0 ? "unread" : ""}`} href={conversationHref(id)} data-conversation={id}
      aria-current={isOpen ? "true" : undefined}>
      <Avatar name={contact.name} />
      <span class="name">{contact.name}</span>
      <time dateTime={at} title={full(at)}>{moment(at)}</time>
      <span class="last">{last?.sender && <b>{authorOf(last, user)}: </b>}{last?.content ?? "Nothing written yet"}</span>
      {unread > 0 && (
        <span class="badge"><span aria-hidden="true">{unread}</span><span class="unseen">{plural(unread, "unread message", "unread messages")}</span></span>
      )}
      <span class="assignee">{assignee ? (assignee.id === user.id ? "You" : assignee.name) : "Nobody assigned"}</span>
    </a>
  );
}

const authorOf = ({ sender }, user) => (sender.id === user.id ? "You" : sender.name.split(" ")[0]);
