import { useEffect } from "preact/hooks";

import { draftOf } from "../drafts.js";
import { HOME_HREF } from "../route.js";
import { Avatar } from "./Avatar.jsx";
import { Composer } from "./Composer.jsx";
import { AgainIcon, BackIcon, CheckIcon, ClockIcon, PersonIcon } from "./icons.jsx";
import { MessageList } from "./MessageList.jsx";
import { phoneNumber, sentenceOf } from "./people.js";
import { Failed, Loading } from "./states.jsx";
import { duration, useTimeLeft } from "./time.js";

/** On a touch screen, focus in the field would bring up the keyboard over the messages. */
const hasKeyboard = matchMedia("(hover: hover) and (pointer: fine)");

/** Whether nobody is at work elsewhere: what had the focus is gone, or it led here. */
function isFocusFree() {
  const { activeElement } = document;
  return activeElement === document.body || activeElement.matches("a") || activeElement.closest("main") !== null;
}

/** The open conversation, ready to write in. */
export function Thread({ state, desk, conversation, toggleDetails, showsDetails }) {
  const { thread, user, viewers, typing, outgoing, templates } = state;
  const isThere = Boolean(conversation) && thread?.state === "ready";
  const mayWrite = Boolean(conversation?.isReadable && conversation.can.write);
  useEffect(() => {
    if (isThere && isFocusFree()) document.getElementById(hasKeyboard.matches && mayWrite ? "composer" : "thread-title")?.focus();
  }, [isThere, mayWrite]);
  if (!thread || (thread.state === "refused" && thread.messages.length === 0)) return <Refused />;
  const others = viewers.filter(({ id }) => id !== user.id);
  return (
    <section class="thread" aria-labelledby="thread-title">
      <header>
        <BackLink />
        {conversation && <Avatar name={conversation.contact.name} />}
        <div class="who">
          <h2 id="thread-title" tabIndex={-1}><bdi>{conversation?.contact.name ?? "Conversation"}</bdi></h2>
          {conversation && <span class="note">{phoneNumber(conversation.contact.phone)} <Window conversation={conversation} /></span>}
        </div>
        <Viewers others={others} />
        {conversation?.isReadable && <Actions conversation={conversation} desk={desk} />}
        {conversation && (
          <button type="button" class="icon-button details-button" aria-expanded={showsDetails} aria-controls="details"
            aria-label="Details" title="Details" onClick={toggleDetails}><PersonIcon /></button>
        )}
      </header>
      <Messages state={state} desk={desk} conversation={conversation} mayWrite={mayWrite} />
      <Typing names={others.filter(({ id }) => typing.includes(id)).map(({ name }) => name)} />
      {isThere && mayWrite && (
        <Composer user={user} conversation={conversation} templates={templates} desk={desk} />
      )}
      {conversation && !mayWrite && thread.state !== "loading" && <ReadOnly conversation={conversation} user={user} desk={desk} />}
      <p class="unseen" role="status">{outgoing[thread.id]?.some(({ state }) => state === "failed") ? "A message was not sent." : ""}</p>
    </section>
  );
}

function Messages({ state: { thread, user, outgoing }, desk, conversation, mayWrite }) {
  if (thread.state === "loading" || (!conversation && thread.state !== "failed")) return <Loading what="the conversation" shape="messages" />;
  if (thread.state === "failed") return <Failed what="The conversation" again={desk.catchUp} />;
  return (
    <MessageList thread={thread} user={user} customer={conversation.contact.name} outgoing={outgoing[thread.id]} desk={desk}
      mayWrite={mayWrite} />
  );
}

export const BackLink = () => <a class="icon-button back" href={HOME_HREF} aria-label="Back to the list"><BackIcon /></a>;

/** How long WhatsApp lets one answer freely. */
function Window({ conversation: { window_ends_at: endsAt } }) {
  const left = useTimeLeft(endsAt);
  if (!endsAt) return null;
  const isClose = left < 4 * 3_600_000;
  return (
    <span class={`window ${left === 0 ? "over" : isClose ? "close" : ""}`} title="WhatsApp lets one answer freely for 24 hours after the customer's last message">
      <ClockIcon /> {left === 0 ? "24 h over" : `${duration(left)} left`}
    </span>
  );
}

function Actions({ conversation: { id, status, can, assignee }, desk }) {
  return (
    <div class="actions">
      {can.take && can.write && !assignee && <button type="button" class="primary small" onClick={() => desk.take(id)}>Take it</button>}
      {can.resolve && status === "open" && (
        <button type="button" class="button" onClick={() => desk.resolve(id)} aria-label="Resolve" title="Resolve"><CheckIcon /> <span class="wide">Resolve</span></button>
      )}
      {can.resolve && status === "closed" && (
        <button type="button" class="button" onClick={() => desk.reopen(id)} aria-label="Reopen" title="Reopen"><AgainIcon /> <span class="wide">Reopen</span></button>
      )}
    </div>
  );
}

/** In place of the field: why nobody can write here, and what can be done about it. */
function ReadOnly({ conversation: { id, can, assignee, isReadable, department }, user, desk }) {
  const isTaken = assignee && assignee.id !== user.id;
  return (
    <div class="read-only" role="status">
      {isTaken && <p><b><bdi>{assignee.name}</bdi></b> has this conversation now.</p>}
      {!isTaken && isReadable && <p>Nobody has this conversation. Take it to answer.</p>}
      {!isTaken && !isReadable && <p>{assignee === null && department ? <>This conversation is in <bdi>{department.name}</bdi> now.</> : "This conversation is no longer yours."}</p>}
      {!isReadable && draftOf(user.id, id).text && <p class="note">What you had begun to write is kept.</p>}
      {isReadable && can.take && <button type="button" class="primary" onClick={() => desk.take(id)}>Take it</button>}
    </div>
  );
}

/** Who else has this conversation open. */
function Viewers({ others }) {
  if (others.length === 0) return null;
  const names = sentenceOf(others.map(({ name }) => name));
  return (
    <div class="viewers" title={`${names} ${others.length === 1 ? "is" : "are"} looking at this, too`}>
      <span class="unseen">Also here: {names}</span>
      {others.slice(0, 3).map(({ id, name }) => <Avatar key={id} name={name} colleague size="small" />)}
      {others.length > 3 && <span class="avatar square small" aria-hidden="true">+{others.length - 3}</span>}
    </div>
  );
}

function Typing({ names }) {
  return (
    <p class="typing" role="status">
      {names.length > 0 && (
        <>
          <span class="dots" aria-hidden="true"><i /><i /><i /></span>
          {sentenceOf(names)} {names.length === 1 ? "is" : "are"} typing…
        </>
      )}
    </p>
  );
}

function Refused() {
  return (
    <section class="thread refused">
      <header><BackLink /><h2 id="thread-title" tabIndex={-1}>Not yours to see</h2></header>
      <p class="empty">This conversation does not exist, or is assigned to somebody else.</p>
    </section>
  );
}
