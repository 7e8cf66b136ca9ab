// Answers for whoever is logged in: what comes after the log-out comes for nobody.
import { waitAfter } from "../backoff.js";

export function createAsking({ set }) {
  let isOver = false;

  /** An answer, or its failure. After the log-out it is neither: whatever waits for it ends there. */
  function answered(answer) {
    return new Promise((resolve, reject) => {
      Promise.resolve(answer).then(
        (result) => isOver || resolve(result),
        (error) => isOver || reject(error),
      );
    });
  }

  return {
    answered,
    /** Does something, shows what went wrong, and returns whether nothing did. */
    async attempt(work) {
      try {
        await work();
        set({ failure: "" });
        return true;
      } catch (error) {
        if (error.status === undefined) throw error;
        set({ failure: error.message });
        return false;
      }
    },
    /** Waits before another attempt. */
    pause: (failures) => answered(new Promise((resolve) => setTimeout(resolve, waitAfter(failures)))),
    stop: () => { isOver = true; },
  };
}
