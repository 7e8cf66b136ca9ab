/** Whether what is on the screen is live. */
export function ConnectionState({ connection, retry }) {
  const isLive = connection === "connected";
  return (
    <div class={`connection ${isLive ? "live" : "waiting"}`}>
      <span role="status">
        <span class="dot" aria-hidden="true" />
        {isLive ? "Live" : "Connecting…"}
      </span>
      {!isLive && <button type="button" class="link" onClick={retry}>Try now</button>}
    </div>
  );
}
