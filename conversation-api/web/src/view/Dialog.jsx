import { useEffect, useRef } from "preact/hooks";

import { CloseIcon } from "./icons.jsx";

/** A dialog over the page; Escape and a click beside it close it. */
export function Dialog({ title, close, children }) {
  const dialog = useRef(null);
  useEffect(() => { dialog.current.showModal(); }, []);
  return (
    <dialog class="dialog" ref={dialog} onClose={close} aria-labelledby="dialog-title"
      onClick={(event) => event.target === dialog.current && dialog.current.close()}>
      <div class="dialog-content">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <button type="button" class="icon-button" onClick={() => dialog.current.close()} aria-label="Close"><CloseIcon /></button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
