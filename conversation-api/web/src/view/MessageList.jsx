import { Fragment } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { DownIcon } from "./icons.jsx";
import { memo } from "./memo.jsx";
import { Message, OutgoingMessage } from "./Message.jsx";
import { rowsOf } from "./rows.js";
import { dayName } from "./time.js";

/** Pixels from an end of the list that count as being there. */
const NEAR = 60;
const NONE = [];

/**
 * The messages, which stay where they are while older ones come above, and move along while the end is in view. All of
 * them are in the document, for the browser's search and for screen readers; it lays out those in view.
 */
export const MessageList = memo(function MessageList({ thread, user, customer, outgoing = NONE, desk, mayWrite }) {
  const box = useRef(null);
  const content = useRef(null);
  const seen = useRef({ first: null, last: null, isAtEnd: true, top: 0 });
  const [hasNews, setHasNews] = useState(false);
  const { messages, before, older, firstUnread } = thread;
  const rows = useMemo(() => rowsOf(messages, firstUnread), [messages, firstUnread]);
  const first = messages[0]?.id;
  const last = `${messages.at(-1)?.id} ${outgoing.length}`;

  // Where the first message stands before others are put above it.
  const anchor = first !== seen.current.first ? box.current?.querySelector(`[data-message="${seen.current.first}"]`) : null;
  const anchorTop = anchor?.getBoundingClientRect().top;

  useLayoutEffect(() => {
    const { isAtEnd } = seen.current;
    if (isAtEnd) toEnd();
    else if (anchor) box.current.scrollTop += anchor.getBoundingClientRect().top - anchorTop;
    if (!isAtEnd && seen.current.last && last !== seen.current.last) setHasNews(true);
    Object.assign(seen.current, { first, last });
  }, [first, last]);

  // Images come, lines are measured, the window gets smaller: the end stays in view.
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => seen.current.isAtEnd && toEnd());
    observer.observe(content.current);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);

  function toEnd() {
    box.current.scrollTop = box.current.scrollHeight;
    seen.current.top = box.current.scrollTop;
  }

  function scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    // Where the content has grown, the end has gone, and nobody has left it: they leave it upwards.
    const hasStayed = seen.current.isAtEnd && scrollTop >= seen.current.top;
    const isAtEnd = hasStayed || scrollHeight - clientHeight - scrollTop < NEAR;
    Object.assign(seen.current, { isAtEnd, top: scrollTop });
    if (isAtEnd) setHasNews(false);
    if (scrollTop < NEAR && before && older === "ready") desk.fetchOlder();
  }

  function jump() {
    seen.current.isAtEnd = true;
    toEnd();
  }

  return (
    <div class="messages-frame">
      {/* Focusable, so that it can be scrolled with the keyboard. */}
      <div class="messages" ref={box} onScroll={scrolled} role="log" aria-label="Messages" tabIndex={0}>
        <div class="messages-content" ref={content}>
          {before && <Earlier state={older} fetch={desk.fetchOlder} />}
          {rows.map(({ message, day, isFirstUnread, follows, original, reactions }) => (
            <Fragment key={message.id}>
              {day && <p class="day"><span>{dayName(day)}</span></p>}
              {isFirstUnread && <p class="unread-mark"><span>New messages</span></p>}
              <Message message={message} userId={user.id} customer={customer} follows={follows} original={original}
                reactions={reactions} desk={desk} mayWrite={mayWrite} />
            </Fragment>
          ))}
          {rows.length === 0 && outgoing.length === 0 && <p class="empty">Nothing has been written yet.</p>}
          {outgoing.map((message) => (
            <OutgoingMessage key={message.client_id} message={message}
              retry={() => desk.retrySending(thread.id, message.client_id)}
              discard={() => desk.discard(thread.id, message.client_id)} />
          ))}
        </div>
      </div>
      {hasNews && <button type="button" class="news" onClick={jump}><DownIcon /> New messages</button>}
    </div>
  );
});

function Earlier({ state, fetch }) {
  if (state === "loading") return <p class="more" role="status">Fetching earlier messages…</p>;
  const label = state === "failed" ? "Earlier messages could not be fetched: try again" : "Earlier messages";
  return <button type="button" class="more" onClick={fetch}>{label}</button>;
}
