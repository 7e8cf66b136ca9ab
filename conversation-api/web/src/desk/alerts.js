// What draws attention to something that came while nobody was looking: a sound, and a notification of the desktop's.
import { isTakenBack, lineOf } from "../preview.js";

/** Two notes, in Hz, and how long each of them sounds. */
const NOTES = [660, 880];
const NOTE_SECONDS = 0.12;
const LONGEST = 160;

export const canNotify = () => "Notification" in window;

/** Asks the browser, which asks the person; returns whether notifications may be shown. */
export async function askToNotify() {
  if (!canNotify()) return false;
  if (Notification.permission === "granted") return true;
  return (await Notification.requestPermission()) === "granted";
}

export function createAlerts({ store: { get } }) {
  let audio = null;

  function play() {
    try {
      audio ??= new AudioContext();
      audio.resume().catch(() => {});
      NOTES.forEach((frequency, index) => {
        const oscillator = audio.createOscillator();
        const volume = audio.createGain();
        const start = audio.currentTime + index * NOTE_SECONDS;
        oscillator.frequency.value = frequency;
        volume.gain.setValueAtTime(0.12, start);
        volume.gain.exponentialRampToValueAtTime(0.001, start + NOTE_SECONDS);
        oscillator.connect(volume).connect(audio.destination);
        oscillator.start(start);
        oscillator.stop(start + NOTE_SECONDS);
      });
    } catch {
      // A browser without sound is silent.
    }
  }

  function notify(id, title, body) {
    if (!canNotify() || Notification.permission !== "granted") return;
    try {
      const notification = new Notification(title, { body: body.slice(0, LONGEST), tag: `conversation-${id}` });
      notification.onclick = () => {
        window.focus();
        location.hash = `#/conversation/${id}`;
        notification.close();
      };
    } catch {
      // Browsers on phones show notifications from service workers alone.
    }
  }

  const isLookedAt = (id) => document.visibilityState === "visible" && document.hasFocus() && get().thread?.id === id;

  function alert(id, title, body) {
    if (isLookedAt(id)) return;
    const { preferences } = get();
    if (preferences.sound) play();
    if (preferences.notifications) notify(id, title, body);
  }

  return {
    /** A customer has written to the user, or to nobody yet. */
    message(message, { assignee, contact }) {
      const isForUs = !assignee || assignee.id === get().user.id;
      const isCall = message.direction === "inbound" && !isTakenBack(message);
      if (isCall && isForUs) alert(message.conversation_id, contact.name, lineOf(message));
    },
    /** A conversation was given to the user. */
    assigned: (id, name, by) => alert(id, name, by ? `${by.name} has assigned this conversation to you.` : "This conversation is yours now."),
    /** A message of the user's, or in a conversation of theirs, did not reach the customer. */
    undelivered: (id, name) => alert(id, name, "A message was not delivered."),
    /** Lets somebody hear what they switch on; the browser allows sound from then on. */
    play,
    stop: () => audio?.close().catch(() => {}),
  };
}
