// The page's state: one object, replaced as a whole, and those who want to know.

export function createStore(initial) {
  let state = initial;
  const listeners = new Set();
  return {
    get: () => state,
    /** Lays `changes`, or what a function makes of the state, over the state. */
    set(changes) {
      const laid = typeof changes === "function" ? changes(state) : changes;
      if (Object.keys(laid).every((key) => Object.is(state[key], laid[key]))) return;
      state = { ...state, ...laid };
      for (const listener of listeners) listener(state);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
