import { Dialog } from "./Dialog.jsx";

const SWITCHES = [
  ["sound", "Sound", "Two notes when a customer writes to you, or to nobody yet, and you are not looking."],
  ["notifications", "Desktop notifications", "The browser asks you once. They show who has written, and what."],
  ["shortcuts", "Keyboard shortcuts", "Single keys, such as j and k. ? lists them."],
];

export function Settings({ preferences, desk, close }) {
  return (
    <Dialog title="Settings" close={close}>
      <ul class="switches">
        {SWITCHES.map(([name, title, explanation]) => (
          <li key={name}>
            <label for={`switch-${name}`}>{title}</label>
            <input id={`switch-${name}`} type="checkbox" role="switch" checked={preferences[name]} aria-describedby={`about-${name}`}
              onChange={(event) => {
                const isOn = event.currentTarget.checked;
                // It stands as it is until the browser has allowed it.
                event.currentTarget.checked = preferences[name];
                desk.prefer({ [name]: isOn });
              }} />
            <p class="note" id={`about-${name}`}>{explanation}</p>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
