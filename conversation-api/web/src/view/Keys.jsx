import { Dialog } from "./Dialog.jsx";

const KEYS = [
  ["j, k", "The next and the previous conversation"],
  ["Enter", "Opens it; in the field, sends"],
  ["Shift + Enter", "A new line"],
  ["Escape", "Leaves the field, then the conversation"],
  ["/", "Searches"],
  ["?", "Shows these keys"],
];

export const Keys = ({ close }) => (
  <Dialog title="Keys" close={close}>
    <dl class="keys">
      {KEYS.map(([key, meaning]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{meaning}</dd></div>)}
    </dl>
  </Dialog>
);
