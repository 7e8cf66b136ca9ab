import { Fragment } from "preact";

import { previewOf } from "../preview.js";
import { conversationHref } from "../route.js";
import { Avatar } from "./Avatar.jsx";
import { Failed, Loading } from "./states.jsx";
import { Text } from "./Text.jsx";
import { BackLink } from "./Thread.jsx";
import { clock, dayName, dayOf, full } from "./time.js";

/** What is written in a department, as it happens; the newest first. */
export function DepartmentFeed({ state, department, desk }) {
  if (!department) {
    return state.departments.state === "loading" ? <Loading what="the department" shape="rows" /> : <p class="empty">This is not your department.</p>;
  }
  const feed = state.feeds[department.id];
  const messages = [...(feed?.messages ?? [])].reverse();
  return (
    <section class="feed" aria-labelledby="feed-title">
      <header>
        <BackLink />
        <div class="who">
          <h2 id="feed-title" tabIndex={-1}><bdi>{department.name}</bdi></h2>
          <span class="note">Messages of the department, as they come</span>
        </div>
      </header>
      {(!feed || feed.state === "loading") && messages.length === 0 && <Loading what="messages" shape="rows" />}
      {feed?.state === "failed" && <Failed what="Earlier messages" again={desk.catchUp} />}
      {feed?.state === "ready" && messages.length === 0 && <p class="empty">Nothing has been written yet.</p>}
      <div class="entries" role="log" aria-label={`Messages in ${department.name}`} tabIndex={0}>
        {messages.map((message, index) => {
          const isNewDay = index === 0 || dayOf(messages[index - 1].created_at) !== dayOf(message.created_at);
          return (
            <Fragment key={message.id}>
              {isNewDay && <p class="day"><span>{dayName(message.created_at)}</span></p>}
              <Entry message={message} state={state} desk={desk} />
            </Fragment>
          );
        })}
      </div>
    </section>
  );
}

function Entry({ message, state, desk }) {
  const { id, conversation_id: conversationId, sender, type, created_at: at } = message;
  const conversation = state.conversations[conversationId];
  const glimpse = conversation ?? state.glimpses[conversationId];
  const customer = message.contact?.name ?? glimpse?.contact.name ?? `conversation ${conversationId}`;
  return (
    <article class={`entry ${type === "note" ? "a-note" : ""}`} data-message={id}>
      <Avatar name={sender?.name ?? customer} colleague={Boolean(sender)} />
      <p class="people">
        <b><bdi>{sender?.name ?? customer}</bdi></b>{sender && <span class="note"> {type === "note" ? "notes about" : "to"} <bdi>{customer}</bdi></span>}
      </p>
      <time dateTime={at} title={full(at)}>{clock(at)}</time>
      <Content message={message} />
      <p class="whose">
        <Whose conversation={conversation} glimpse={glimpse} user={state.user} desk={desk} />
        {/* A colleague's conversation is known here, but not open to agents. */}
        {conversation?.isReadable && <a href={conversationHref(conversationId)} aria-label={`Open the conversation with ${customer}`}>Open</a>}
      </p>
    </article>
  );
}

function Content({ message }) {
  const { type, content, truncated } = message;
  const { kind } = previewOf(message);
  return (
    <p class="content" dir="auto">
      {/* That it is a note stands above it. */}
      {kind && type !== "note" && <i class="kind">{kind} </i>}
      {content && <Text text={content} />}
      {/* The rest comes where it may be read; a colleague's conversation is not open to agents. */}
      {truncated && <span class="cut"> … Only the beginning is shown here.</span>}
    </p>
  );
}

function Whose({ conversation, glimpse, user, desk }) {
  if (!glimpse) return null;
  const { assignee } = glimpse;
  if (assignee) return <span class="note">{assignee.id === user.id ? "Yours" : <><bdi>{assignee.name}</bdi> has it</>}</span>;
  if (!conversation?.isReadable) return null;
  return (
    <>
      <span class="note">Nobody has it</span>
      {conversation.can.take && <button type="button" class="button" onClick={() => desk.take(conversation.id)}>Take it</button>}
    </>
  );
}
