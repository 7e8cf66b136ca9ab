import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { DownIcon } from "./icons.jsx";
import { Message, OutgoingMessage } from "./Message.jsx";
import { dayName, dayOf } from "./time.js";

/** Pixels from an end of the list that count as being there. */
const NEAR = 60;
/** Messages of one author this close together stand together. */
const TOGETHER_MS = 5 * 60_000;

/** The messages, which stay where they are while older ones come above, and move along while the end is in view. */
export function MessageList({ thread, user, contact, outgoing, desk }) {
  const box = useRef(null);
  const seen = useRef({ first: null, last: null, height: 0, isAtEnd: true });
  const [hasNews, setHasNews] = useState(false);
  const { messages, before } = thread;
  const first = messages[0]?.id;
  const last = `${messages.at(-1)?.id} ${outgoing.length}`;

  useLayoutEffect(() => {
    const { scrollHeight } = box.current;
    const { height, isAtEnd } = seen.current;
    if (isAtEnd) box.current.scrollTop = scrollHeight;
    else if (first < seen.current.first) box.current.scrollTop += scrollHeight - height;
    else if (last !== seen.current.last) setHasNews(true);
    seen.current = { first, last, height: scrollHeight, isAtEnd };
  }, [first, last]);

  function scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    const isAtEnd = scrollHeight - clientHeight - scrollTop < NEAR;
    seen.current.isAtEnd = isAtEnd;
    if (isAtEnd) setHasNews(false);
    if (scrollTop < NEAR && before) desk.fetchOlder();
  }

  function toEnd() {
    box.current.scrollTo({ top: box.current.scrollHeight, behavior: "smooth" });
  }

  return (
    <div class="messages-frame">
      {/* Focusable, so that it can be scrolled with the keyboard. */}
      <div class="messages" ref={box} onScroll={scrolled} role="log" aria-label="Messages" tabIndex={0}>
        {before && <button type="button" class="more" onClick={desk.fetchOlder}>Earlier messages</button>}
        {messages.map((message, index) => {
          const previous = messages[index - 1];
          const isNewDay = !previous || dayOf(previous.created_at) !== dayOf(message.created_at);
          return [
            isNewDay && <p class="day" key={`day-${message.id}`}><span>{dayName(message.created_at)}</span></p>,
            <Message key={message.id} message={message} user={user} contact={contact}
              follows={!isNewDay && belongTogether(previous, message)} />,
          ];
        })}
        {outgoing.map((message) => (
          <OutgoingMessage key={message.key} message={message}
            retry={() => desk.send(thread.id, message.content, message.key)}
            discard={() => desk.discard(thread.id, message.key)} />
        ))}
      </div>
      {hasNews && <button type="button" class="news" onClick={toEnd}><DownIcon /> New messages</button>}
    </div>
  );
}

function belongTogether(previous, message) {
  return (
    previous.direction === message.direction &&
    previous.sender?.id === message.sender?.id &&
    new Date(message.created_at) - new Date(previous.created_at) < TOGETHER_MS
  );
}
