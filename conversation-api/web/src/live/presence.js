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
    channel = echo.join(name);
    const { members } = channel.subscription;
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
    channel.here(joined).joining(show).leaving(show);
    // The relay adds whose whisper it is, so that nobody can whisper in another's name.
    channel.listenForWhisper("typing", (_, { user_id }) => started(Number(user_id)));
    channel.error(({ status }) => {
      presence("failed");
      if (!isFinal(status)) retries.failed(name);
    });
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
    stop: () => retries.stop(),
  };
}
