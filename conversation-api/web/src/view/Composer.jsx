import { useRef, useState } from "preact/hooks";

import { SendIcon } from "./icons.jsx";

/** What WhatsApp takes. */
const LONGEST = 4096;
/** What was begun in other conversations. */
const drafts = new Map();

export function Composer({ id, conversationId, contact, send, sayTyping }) {
  const [text, setText] = useState(drafts.get(conversationId) ?? "");
  const field = useRef(null);

  function write(text) {
    drafts.set(conversationId, text);
    setText(text);
  }

  function submit(event) {
    event.preventDefault();
    const content = text.trim();
    if (!content) return;
    write("");
    field.current.focus();
    send(conversationId, content);
  }

  function keyPressed(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  }

  return (
    <form class="composer" onSubmit={submit}>
      <label class="unseen" for={id}>Message to {contact.name}</label>
      <textarea id={id} ref={field} rows={1} maxLength={LONGEST} value={text} enterkeyhint="send" dir="auto"
        placeholder={`Message ${contact.name}`} onKeyDown={keyPressed}
        onInput={(event) => { write(event.target.value); sayTyping(); }} />
      <button class="primary send" aria-label="Send" title="Send (Enter)" disabled={!text.trim()}><SendIcon /></button>
    </form>
  );
}
