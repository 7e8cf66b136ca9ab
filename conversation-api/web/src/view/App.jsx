import { useEffect, useState } from "preact/hooks";

import { Inbox } from "./Inbox.jsx";
import { Login } from "./Login.jsx";

export function App({ store, desk, demo, logIn, logOut }) {
  const state = useStore(store);
  const unread = (state.conversations ?? []).filter(({ unread_count }) => unread_count > 0).length;
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) TIMS inbox` : "TIMS inbox";
  }, [unread]);
  if (!state.user) return <Login demo={demo} logIn={logIn} />;
  return <Inbox key={state.user.id} state={state} desk={desk} logOut={logOut} />;
}

function useStore(store) {
  const [state, setState] = useState(store.get());
  useEffect(() => {
    setState(store.get());
    return store.subscribe(setState);
  }, [store]);
  return state;
}
