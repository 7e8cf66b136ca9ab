import { useEffect, useState } from "preact/hooks";

import { Inbox } from "./Inbox.jsx";
import { Login } from "./Login.jsx";

export function App({ store, desk, demo, logIn, logOut }) {
  const state = useStore(store);
  const { user, unread, hasEnded } = state;
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) TIMS inbox` : "TIMS inbox";
  }, [unread]);
  if (!user) return <Login demo={demo} logIn={logIn} hasEnded={hasEnded} />;
  return <Inbox key={user.id} state={state} desk={desk} logOut={logOut} />;
}

function useStore(store) {
  const [state, setState] = useState(store.get());
  useEffect(() => {
    setState(store.get());
    return store.subscribe(setState);
  }, [store]);
  return state;
}
