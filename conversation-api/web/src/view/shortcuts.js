import { useEffect } from "preact/hooks";

import { HOME_HREF } from "../route.js";

const isWriting = (element) => element.matches("input, textarea, select, [contenteditable]");

/** Moves the focus along the list, from the row that has it or is open. */
function move(step) {
  const rows = [...document.querySelectorAll("a.row")];
  const focused = rows.indexOf(document.activeElement);
  const current = focused >= 0 ? focused : rows.findIndex((row) => row.hasAttribute("aria-current"));
  const next = current < 0 ? 0 : Math.min(Math.max(current + step, 0), rows.length - 1);
  rows[next]?.focus();
}

/** Leaves the open conversation for its row in the list. */
function leave() {
  const open = document.querySelector("a.row[aria-current]");
  location.hash = HOME_HREF;
  open?.focus();
}

/** Single keys, wherever nothing is written and no dialog is open. */
export function useShortcuts(isOn, showKeys) {
  useEffect(() => {
    if (!isOn) return undefined;
    const actions = {
      j: () => move(1),
      k: () => move(-1),
      "/": () => document.getElementById("search")?.focus(),
      "?": showKeys,
      Escape: leave,
    };
    function pressed(event) {
      const isOurs = !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing && !event.defaultPrevented;
      if (!isOurs || !Object.hasOwn(actions, event.key) || isWriting(event.target) || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      actions[event.key]();
    }
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [isOn]);
}
