/** What is there before the page knows where the relay is. */
export const Starting = ({ isLate = false }) => (
  <p class="empty starting" role="status">{isLate ? "The server cannot be reached. Trying again…" : "Starting…"}</p>
);
