import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { listed } from "../desk/list.js";
import { previewOf } from "../preview.js";
import { conversationHref } from "../route.js";
import { Avatar } from "./Avatar.jsx";
import { CloseIcon, SearchIcon } from "./icons.jsx";
import { memo } from "./memo.jsx";
import { plural } from "./people.js";
import { Failed, Loading } from "./states.jsx";
import { full, moment } from "./time.js";

/** How long after the last letter a search begins. */
const SEARCH_MS = 300;
const FILTERS = [["mine", "Mine"], ["unassigned", "Unassigned"], ["all", "All"]];

/** Whose conversations, which of them, and those. */
export const ConversationList = memo(function ConversationList({ conversations, list, counts, openId, user, desk }) {
  const { query, state, next } = list;
  const shown = useMemo(() => listed(conversations, list, user, openId), [conversations, list, user, openId]);
  return (
    <section class="conversations" aria-label="Conversations">
      <Search query={query} desk={desk} />
      <div class="filters" role="group" aria-label="Whose conversations">
        {FILTERS.map(([filter, name]) => (
          <button type="button" key={filter} aria-pressed={query.filter === filter} onClick={() => desk.list({ filter })}>
            {name}{counts?.[filter] > 0 && <span class="count">{counts[filter]}</span>}
          </button>
        ))}
      </div>
      <div class="narrowing">
        <label class="unseen" for="status">Status</label>
        <select id="status" value={query.status} onChange={(event) => desk.list({ status: event.target.value })}>
          <option value="open">Open</option>
          <option value="closed">Resolved</option>
          <option value="all">Open and resolved</option>
        </select>
        <button type="button" class="toggle" aria-pressed={query.unread} onClick={() => desk.list({ unread: !query.unread })}>
          Unread{counts?.unread > 0 && <span class="count">{counts.unread}</span>}
        </button>
      </div>
      <div class="rows">
        {state === "loading" && shown.length === 0 && <Loading what="conversations" shape="rows" />}
        {state === "failed" && <Failed what="Conversations" again={desk.catchUp} />}
        {state !== "loading" && state !== "failed" && shown.length === 0 && <p class="empty list" role="status">{nothingOf(query)}</p>}
        <ul>
          {shown.map((conversation) => (
            <li key={conversation.id}>
              <Row conversation={conversation} isOpen={conversation.id === openId} userId={user.id} />
            </li>
          ))}
        </ul>
        {next && (
          <button type="button" class="more" disabled={state === "more"} onClick={desk.fetchMore}>
            {state === "more" ? "Fetching…" : "Older conversations"}
          </button>
        )}
      </div>
    </section>
  );
});

function nothingOf({ filter, status, unread, search }) {
  if (search) return "Nothing was found.";
  if (unread) return "All is read.";
  if (status === "closed") return "Nothing is resolved yet.";
  if (filter === "mine") return "You have no conversation. Take one of those that nobody has.";
  return filter === "unassigned" ? "Every conversation has somebody." : "No conversations yet.";
}

function Search({ query, desk }) {
  const [text, setText] = useState(query.search);
  const field = useRef(null);
  useEffect(() => {
    if (text.trim() === query.search) return undefined;
    const timer = setTimeout(() => desk.list({ search: text.trim() }), SEARCH_MS);
    return () => clearTimeout(timer);
  }, [text]);

  function keyPressed(event) {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    if (text) setText("");
    else event.currentTarget.blur();
  }

  return (
    <div class="search" role="search">
      <SearchIcon />
      <input id="search" ref={field} type="text" inputmode="search" enterkeyhint="search" maxLength={100} value={text} dir="auto"
        placeholder="Search name, number or text" aria-label="Search conversations" autocomplete="off"
        onInput={(event) => setText(event.target.value)} onKeyDown={keyPressed} />
      {text && (
        <button type="button" class="clear" aria-label="Clear the search" onClick={() => { setText(""); field.current.focus(); }}><CloseIcon /></button>
      )}
    </div>
  );
}

const Row = memo(function Row({ conversation, isOpen, userId }) {
  const { id, contact, last_message: last, last_message_at: at, unread_count: unread, assignee, status } = conversation;
  return (
    <a class={`row ${unread > 0 ? "unread" : ""}`} href={conversationHref(id)} data-conversation={id}
      aria-current={isOpen ? "true" : undefined}>
      <Avatar name={contact.name} />
      <span class="name"><bdi>{contact.name}</bdi></span>
      {at && <time dateTime={at} title={full(at)}>{moment(at)}</time>}
      <span class="last"><LastMessage message={last} userId={userId} /></span>
      {unread > 0 && (
        <span class="badge"><span aria-hidden="true">{unread > 99 ? "99+" : unread}</span><span class="unseen">{plural(unread, "unread message", "unread messages")}</span></span>
      )}
      <span class="assignee">
        {assignee ? <bdi>{assignee.id === userId ? "You" : assignee.name}</bdi> : "Nobody assigned"}{status === "closed" && ", resolved"}
      </span>
    </a>
  );
});

function LastMessage({ message, userId }) {
  if (!message) return "Nothing written yet";
  const { sender, status } = message;
  const { kind, text } = previewOf(message);
  return (
    <>
      {status === "failed" && <b class="undelivered">Not delivered </b>}
      {sender && <b><bdi>{sender.id === userId ? "You" : sender.name.split(" ")[0]}</bdi>: </b>}
      {kind && <i class="kind">{kind} </i>}
      <bdi>{text}</bdi>
    </>
  );
}
