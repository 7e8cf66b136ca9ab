// Who else is looking at the open conversation, and who is typing there.
import { createRetries, isFinal } from "./retries.js";

/** How often somebody who types sends it, and how long it holds. */
const SENT_EVERY_MS = 1500;
const HOLDS_FOR_MS = 4000;

export function createPresence(echo, { viewers, typing, presence }) {
  let name = null;
  let channel = null;
  let sentAt = 0;
  const typers = new Map();
  const retries = createRetries((failed) => {
    if (failed !== name) return;
    echo.leaveChannel(`presence-${name}`);
    join();
  });

  function leave() {
    if (!name) return;
    retries.forget(name);
    echo.leaveChannel(`presence-${name}`);
    name = channel = null;
    forget();
    presence("none");
  }

  function join() {
    presence("joining");
    const own = echo.join(name);
    channel = own;
    // An answer may come for a conversation that was left.
    const whileOpen = (work) => (...given) => own === channel && work(...given);
    const { members } = own.subscription;
    const show = () => {
      const present = [];
      members.each(({ id, info }) => present.push({ id: Number(id), ...info }));
      viewers(present);
      for (const id of typers.keys()) if (!members.get(String(id))) stopped(id);
    };
    const joined = () => {
      retries.forget(name);
      presence("joined");
      show();
    };
    const failed = ({ status }) => {
      presence("failed");
      if (!isFinal(status)) retries.failed(name);
    };
    own.here(whileOpen(joined)).joining(whileOpen(show)).leaving(whileOpen(show)).error(whileOpen(failed));
    // The relay adds whose whisper it is, so that nobody can whisper in another's name.
    own.listenForWhisper("typing", whileOpen((_, { user_id }) => started(Number(user_id))));
    sentAt = 0;
  }

  function started(id) {
    clearTimeout(typers.get(id));
    typers.set(id, setTimeout(stopped, HOLDS_FOR_MS, id));
    typing([...typers.keys()]);
  }

  function stopped(id) {
    clearTimeout(typers.get(id));
    if (typers.delete(id)) typing([...typers.keys()]);
  }

  /** Forgets what the relay reported of the others, as it holds no more. */
  function forget() {
    viewers([]);
    for (const id of [...typers.keys()]) stopped(id);
  }

  return {
    /** Looks at a conversation, or at none. */
    attend(conversationId) {
      const wanted = conversationId ? `conversation.${conversationId}` : null;
      if (wanted === name) return;
      leave();
      name = wanted;
      if (name) join();
    },
    /** Lets the others know that somebody types here. */
    sendTyping() {
      const now = Date.now();
      if (!channel?.subscription.subscribed || now - sentAt < SENT_EVERY_MS) return;
      sentAt = now;
      channel.whisper("typing", {});
    },
    /** What was typed is sent: what is typed next is known at once. */
    doneTyping() {
      sentAt = 0;
    },
    /** Who typed has sent it. */
    wrote: stopped,
    forget,
    stop() {
      retries.stop();
      for (const timer of typers.values()) clearTimeout(timer);
      typers.clear();
      name = channel = null;
    },
  };
}
