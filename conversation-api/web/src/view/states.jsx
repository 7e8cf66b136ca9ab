// What stands where something is fetched, or could not be.

/** Something is being fetched; `shape` is what will be there: "rows" or "messages". */
export function Loading({ what, shape }) {
  return (
    <div class={`loading of-${shape}`}>
      <p class="unseen" role="status">Fetching {what}…</p>
      {[1, 2, 3, 4, 5].map((number) => <span key={number} class={`shape shape-${number}`} aria-hidden="true" />)}
    </div>
  );
}

/** Something could not be fetched. It is tried again by itself, too. */
export function Failed({ what, again }) {
  return (
    <div class="empty failed" role="alert">
      <p>{what} could not be fetched.</p>
      <button type="button" class="button" onClick={again}>Try again</button>
    </div>
  );
}
