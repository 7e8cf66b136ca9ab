import { useEffect, useRef, useState } from "preact/hooks";

import { draftOf, saveDraft } from "../drafts.js";
import { ClockIcon, SendIcon } from "./icons.jsx";
import { TemplatePicker } from "./TemplatePicker.jsx";
import { useTimeLeft } from "./time.js";

/** What WhatsApp takes. */
const LONGEST = 4096;
const MODES = [["text", "Reply"], ["note", "Note"], ["template", "Template"]];

/**
 * Where one writes: a reply, a note to colleagues, or, when WhatsApp's 24 hours are over, a template. What is begun is
 * kept as a draft.
 */
export function Composer({ user, conversation, templates, desk }) {
  const { id, contact, window_ends_at: windowEndsAt } = conversation;
  const isOpen = useTimeLeft(windowEndsAt) > 0;
  const [draft, setDraft] = useState(() => draftOf(user.id, id));
  const [wantsTemplate, setWantsTemplate] = useState(false);
  const field = useRef(null);
  const mode = wantsTemplate ? "template" : draft.mode;
  // What was begun as a reply stays there to be read, and cannot be sent.
  const isShut = mode === "text" && !isOpen;

  useEffect(() => {
    setWantsTemplate(!isOpen && draft.mode === "text" && !draft.text && templates.data.length > 0);
  }, [isOpen, templates.data.length]);

  function write(changes) {
    const next = { ...draft, ...changes };
    saveDraft(user.id, id, next);
    setDraft(next);
  }

  function choose(mode) {
    setWantsTemplate(mode === "template");
    if (mode !== "template") {
      write({ mode });
      field.current?.focus();
    }
  }

  function submit(event) {
    event.preventDefault();
    const content = draft.text.trim();
    if (!content || isShut) return;
    // A note is followed by a note: what was meant as one, and went to the customer, cannot be taken back.
    write({ text: "" });
    field.current.focus();
    desk.send(id, { type: mode, content });
  }

  function keyPressed(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
    if (event.key === "Escape") event.currentTarget.blur();
  }

  function typed(event) {
    write({ text: event.target.value });
    if (draft.mode === "text") desk.sendTyping();
  }

  const isNote = mode === "note";
  const label = isNote ? `Note about ${contact.name}` : `Message to ${contact.name}`;
  return (
    <div class={`composer for-${mode}`}>
      <div class="modes">
        <div role="group" aria-label="What to write">
          {MODES.map(([name, title]) => (name !== "template" || templates.data.length > 0) && (
            <button type="button" key={name} aria-pressed={mode === name} onClick={() => choose(name)}>{title}</button>
          ))}
        </div>
        {isNote && <span class="hint">Only colleagues see it.</span>}
      </div>
      {isShut && <WindowOver hasTemplates={templates.data.length > 0} wasEver={Boolean(windowEndsAt)} choose={choose} />}
      {mode === "template" ? (
        <TemplatePicker conversationId={id} customer={contact.name} templates={templates} desk={desk} />
      ) : (
        <form onSubmit={submit}>
          <label class="unseen" for="composer">{label}</label>
          <textarea id="composer" ref={field} rows={1} maxLength={LONGEST} value={draft.text} enterkeyhint="send" dir="auto"
            placeholder={isNote ? "Write a note for your colleagues" : `Message ${contact.name}`} disabled={isShut && !draft.text}
            readOnly={isShut} onKeyDown={keyPressed} onInput={typed} />
          <button class="primary send" aria-label={isNote ? "Add note" : "Send"} title={isNote ? "Add note (Enter)" : "Send (Enter)"}
            disabled={isShut || !draft.text.trim()}><SendIcon /></button>
        </form>
      )}
    </div>
  );
}

function WindowOver({ hasTemplates, wasEver, choose }) {
  return (
    <p class="window-over">
      <ClockIcon />
      <span>
        {wasEver ? "The 24 hours in which WhatsApp lets you answer freely are over." : "The customer has not written yet, so WhatsApp lets nobody write freely."}{" "}
        {hasTemplates ? <>You can <button type="button" class="link" onClick={() => choose("template")}>send a template</button> or </> : "You can "}
        <button type="button" class="link" onClick={() => choose("note")}>write a note</button> for your colleagues.
      </span>
    </p>
  );
}
