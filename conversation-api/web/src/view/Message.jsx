import { clock, full } from "./time.js";

const DELIVERIES = {
  pending: ["…", "on its way"],
  sent: ["✓", "sent"],
  delivered: ["✓✓", "delivered"],
  read: ["✓✓", "read"],
  failed: ["!", "not delivered"],
};

/** A message; `follows` when it stands under another one of the same author. */
export function Message({ message, user, contact, follows }) {
  const { id, direction, sender, content, created_at: at, status } = message;
  const isMine = sender?.id === user.id;
  const author = isMine ? "You" : (sender?.name ?? contact.name);
  return (
    <article class={`message ${direction} ${isMine ? "mine" : ""} ${follows ? "follows" : ""}`} data-message={id}>
      <p class={`author ${follows || isMine || !sender ? "unseen" : ""}`}>{author}</p>
      <p class="content" dir="auto">{content}</p>
      <p class="meta">
        <time dateTime={at} title={full(at)}>{clock(at)}</time>
        {direction === "outbound" && <Delivery status={status ?? "sent"} />}
      </p>
    </article>
  );
}

function Delivery({ status }) {
  const [mark, word] = DELIVERIES[status] ?? DELIVERIES.sent;
  return (
    <span class={`delivery ${status}`} title={word}>
      <span aria-hidden="true">{mark}</span><span class="unseen">{word}</span>
    </span>
  );
}

/** A message that the backend does not have yet. */
export function OutgoingMessage({ message, retry, discard }) {
  const { content, failure } = message;
  return (
    <article class={`message outbound mine outgoing ${failure ? "failed" : ""}`}>
      <p class="content" dir="auto">{content}</p>
      {failure ? (
        <p class="meta" role="alert">
          Not sent: {failure} <button type="button" class="link" onClick={retry}>Try again</button>{" "}
          <button type="button" class="link" onClick={discard}>Discard</button>
        </p>
      ) : (
        <p class="meta">Sending…</p>
      )}
    </article>
  );
}
