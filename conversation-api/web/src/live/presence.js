// Who else is looking at the open conversation, and who is typing there.

/** How often somebody who types says so, and how long it holds. */
const SAID_EVERY_MS = 1500;
const HOLDS_FOR_MS = 4000;

export function createPresence(echo, { viewers, typing }) {
  let name = null;
  let channel = null;
  let saidAt = 0;
  const typers = new Map();

  function leave() {
    if (!name) return;
    echo.leaveChannel(`presence-${name}`);
    name = channel = null;
    viewers([]);
    for (const id of [...typers.keys()]) stopped(id);
  }

  function join(conversationId) {
    name = `conversation.${conversationId}`;
    channel = echo.join(name);
    const { members } = channel.subscription;
    const tell = () => {
      const present = [];
      members.each(({ id, info }) => present.push({ id: Number(id), ...info }));
      viewers(present);
      for (const id of typers.keys()) if (!members.get(String(id))) stopped(id);
    };
    channel.here(tell).joining(tell).leaving(tell);
    // The relay says whose whisper it is, so that nobody can whisper in another's name.
    channel.listenForWhisper("typing", (_, { user_id }) => started(Number(user_id)));
    saidAt = 0;
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

  return {
    /** Looks at a conversation, or at none. */
    attend(conversationId) {
      if (conversationId && name === `conversation.${conversationId}`) return;
      leave();
      if (conversationId) join(conversationId);
    },
    /** Tells the others that somebody types here. */
    say() {
      const now = Date.now();
      if (!channel?.subscription.subscribed || now - saidAt < SAID_EVERY_MS) return;
      saidAt = now;
      channel.whisper("typing", {});
    },
    /** What was typed is sent: what is typed next is told at once. */
    done() {
      saidAt = 0;
    },
    /** That who typed has sent it. */
    sent(userId) {
      stopped(userId);
    },
    /** That what the relay said of the others holds no more. */
    forget() {
      viewers([]);
      for (const id of [...typers.keys()]) stopped(id);
    },
  };
}
