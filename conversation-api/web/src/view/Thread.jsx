import { useEffect } from "preact/hooks";

import { HOME_HREF } from "../route.js";
import { Avatar } from "./Avatar.jsx";
import { Composer } from "./Composer.jsx";
import { BackIcon, PersonIcon } from "./icons.jsx";
import { MessageList } from "./MessageList.jsx";
import { phoneNumber, sentenceOf } from "./people.js";

/** On a touch screen, focus in the field would bring up the keyboard over the messages. */
const hasKeyboard = matchMedia("(hover: hover) and (pointer: fine)");

/** The open conversation, ready to write in. */
export function Thread({ state, desk, conversation, toggleDetails, showsDetails }) {
  const { thread, user, viewers, typing, outgoing } = state;
  const isThere = Boolean(conversation) && !thread?.refused;
  useEffect(() => {
    if (isThere) document.getElementById(hasKeyboard.matches ? "composer" : "thread-title").focus();
  }, [isThere]);
  if (!thread || thread.refused) return <Refused />;
  if (!conversation) return <p class="empty">Fetching the conversation…</p>;
  const others = viewers.filter(({ id }) => id !== user.id);
  const typers = others.filter(({ id }) => typing.includes(id));
  return (
    <section class="thread" aria-labelledby="thread-title">
      <header>
        <BackLink />
        <Avatar name={conversation.contact.name} />
        <div class="who">
          <h2 id="thread-title" tabIndex={-1}>{conversation.contact.name}</h2>
          <span class="note">{phoneNumber(conversation.contact.phone)}</span>
        </div>
        <Viewers others={others} />
        <button type="button" class="icon-button details-button" aria-expanded={showsDetails} aria-controls="details"
          aria-label="Details" title="Details" onClick={toggleDetails}><PersonIcon /></button>
      </header>
      <MessageList thread={thread} user={user} contact={conversation.contact} outgoing={outgoing[thread.id] ?? []} desk={desk} />
      <p class="typing" role="status">
        {typers.length > 0 && (
          <>
            <span class="dots" aria-hidden="true"><i /><i /><i /></span>
            {sentenceOf(typers.map(({ name }) => name))} {typers.length === 1 ? "is" : "are"} typing…
          </>
        )}
      </p>
      <Composer id="composer" conversationId={thread.id} contact={conversation.contact} send={desk.send} sayTyping={desk.sayTyping} />
    </section>
  );
}

export const BackLink = () => <a class="icon-button back" href={HOME_HREF} aria-label="Back to the list"><BackIcon /></a>;

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

function Refused() {
  return (
    <section class="thread refused">
      <header><BackLink /><h2>Not yours to see</h2></header>
      <p class="empty">This conversation does not exist, or is assigned to somebody else.</p>
    </section>
  );
}
