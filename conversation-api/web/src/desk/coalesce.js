/**
 * Makes of `work` something that may be asked for at any time: never twice at once, and once more afterwards when it
 * was asked for while it was under way.
 */
export function coalesce(work) {
  let running = null;
  let again = false;
  return function ask() {
    again = true;
    running ??= (async () => {
      try {
        while (again) {
          again = false;
          await work();
        }
      } finally {
        running = null;
      }
    })();
    return running;
  };
}
