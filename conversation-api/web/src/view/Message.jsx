import { lineOf } from "../preview.js";
import { Media } from "./Media.jsx";
import { NoteIcon, PlaceIcon, PersonIcon } from "./icons.jsx";
import { memo } from "./memo.jsx";
import { Text } from "./Text.jsx";
import { clock, full } from "./time.js";

const DELIVERIES = {
  pending: ["…", "on its way"],
  sent: ["✓", "sent"],
  delivered: ["✓✓", "delivered"],
  read: ["✓✓", "read"],
  failed: ["!", "not delivered"],
};
const WITH_FILE = new Set(["image", "sticker", "video", "audio", "document"]);
const LABELS = { button: "Answered with a button", interactive: "Chose", template: "Template" };

/**
 * A message; `follows` when it stands under another one of the same author. `original` is the message that it answers,
 * `reactions` are those to it.
 */
export const Message = memo(function Message({ message, userId, customer, follows, original, reactions, desk, mayWrite }) {
  const { id, direction, sender, type = "text", created_at: at, status, error } = message;
  const isNote = type === "note";
  const isMine = sender?.id === userId;
  const author = isMine ? "You" : (sender?.name ?? customer);
  const isNamed = !follows && sender && !isMine;
  return (
    <article class={`message ${direction} ${isNote ? "a-note" : isMine ? "mine" : ""} ${follows ? "follows" : ""}`} data-message={id}>
      {/* Notes name their author in their head. */}
      <p class={`author ${isNamed && !isNote ? "" : "unseen"}`}><bdi>{author}</bdi></p>
      <div class={`bubble of-${type}`}>
        {isNote && <p class="label"><NoteIcon /> Note{!isMine && <> by <bdi>{author}</bdi></>}</p>}
        {LABELS[type] && <p class="label">{LABELS[type]}</p>}
        {message.reply_to && type !== "reaction" && <Quote original={original} customer={customer} userId={userId} />}
        <Content message={message} desk={desk} />
      </div>
      {reactions && (
        <p class="reactions">
          <span class="unseen">Reactions: </span>{reactions.map(({ id, emoji }) => <span key={id}>{emoji}</span>)}
        </p>
      )}
      <p class="meta">
        <time dateTime={at} title={full(at)}>{clock(at)}</time>
        {direction === "outbound" && status && <Delivery status={status} />}
      </p>
      {status === "failed" && <Failure error={error} retry={mayWrite ? () => desk.retryMessage(id) : null} />}
    </article>
  );
});

function Content({ message, desk }) {
  const { type = "text", content, truncated } = message;
  if (WITH_FILE.has(type)) {
    return <><Media message={message} desk={desk} />{content && <p class="content caption" dir="auto"><Text text={content} /></p>}</>;
  }
  if (type === "location" && message.location) return <Place place={message.location} />;
  if (type === "contacts") return <p class="content contact-card"><PersonIcon /> <bdi>{content}</bdi></p>;
  if (type === "reaction") {
    return <p class="content">{content ? <>Reacted with {content} to an earlier message</> : "Took a reaction back"}</p>;
  }
  if (type === "unsupported") return <p class="content">{content || "A message of a kind that cannot be shown here."}</p>;
  return <p class="content" dir="auto"><Text text={content} />{truncated && <span class="cut" role="status"> … Fetching the rest.</span>}</p>;
}

function Place({ place: { latitude, longitude, name, address } }) {
  const at = `${latitude}, ${longitude}`;
  const href = `https://www.openstreetmap.org/?mlat=${Number(latitude)}&mlon=${Number(longitude)}#map=16/${Number(latitude)}/${Number(longitude)}`;
  return (
    <div class="file">
      <PlaceIcon />
      <span class="about">
        <span class="title content"><bdi>{name || "A place"}</bdi></span>
        <span class="detail"><bdi>{address || at}</bdi></span>
      </span>
      <a class="button" href={href} target="_blank" rel="noopener noreferrer">Map</a>
    </div>
  );
}

/** The message that another one answers, in a line. */
function Quote({ original, customer, userId }) {
  if (!original) return <blockquote class="quote">An earlier message</blockquote>;
  const { sender } = original;
  const author = sender ? (sender.id === userId ? "You" : sender.name) : customer;
  return <blockquote class="quote"><b><bdi>{author}</bdi></b> <span dir="auto">{lineOf(original)}</span></blockquote>;
}

function Delivery({ status }) {
  const [mark, word] = DELIVERIES[status] ?? DELIVERIES.sent;
  return (
    <span class={`delivery ${status}`} title={word}>
      <span aria-hidden="true">{mark}</span><span class="unseen">{word}</span>
    </span>
  );
}

function Failure({ error, retry }) {
  const reason = [error?.title, error?.message].filter(Boolean).filter((text, index, all) => all.indexOf(text) === index).join(": ");
  return (
    <p class="failure-reason" role="status">
      Not delivered{reason && `: ${reason}`}{" "}
      {error?.can_retry && retry && <button type="button" class="link" onClick={retry}>Try again</button>}
    </p>
  );
}

/** A message that the backend does not have yet. */
export function OutgoingMessage({ message, retry, discard }) {
  const { type, content, state, failure } = message;
  const isNote = type === "note";
  return (
    <article class={`message outbound ${isNote ? "a-note" : "mine"} outgoing ${state}`} data-outgoing={state}>
      <div class="bubble">
        {isNote && <p class="label"><NoteIcon /> Note</p>}
        <p class="content" dir="auto">{content}</p>
      </div>
      {state === "failed" && (
        <p class="meta" role="alert">
          Not sent: {failure} <button type="button" class="link" onClick={retry}>Try again</button>{" "}
          <button type="button" class="link" onClick={discard}>Discard</button>
        </p>
      )}
      {state === "sending" && <p class="meta" role="status">Sending…</p>}
      {state === "waiting" && (
        <p class="meta">Waits for the message before it <button type="button" class="link" onClick={discard}>Discard</button></p>
      )}
    </article>
  );
}
