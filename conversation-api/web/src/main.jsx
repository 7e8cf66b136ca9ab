import { render } from "preact";

import { createApi } from "./api.js";
import { loadConfig } from "./config.js";
import { createDesk } from "./desk/desk.js";
import { EMPTY } from "./desk/state.js";
import { createHttp } from "./http.js";
import { currentRoute } from "./route.js";
import { forgetSession, onSessionChange, saveSession, savedSession } from "./session.js";
import { createStore } from "./store.js";
import { App } from "./view/App.jsx";
import { Starting } from "./view/Starting.jsx";
import "./styles/index.css";

const root = document.getElementById("app");
render(<Starting />, root);
const config = await loadConfig(() => render(<Starting isLate />, root));
const store = createStore({ ...EMPTY, route: currentRoute() });
let token = null;

const api = createApi(createHttp({ token: () => token, socketId: () => desk.socketId(), expired: (ended) => leave(ended, true) }));
const desk = createDesk({ store, api, config });

async function logIn(email, password) {
  const session = await api.logIn(email, password);
  saveSession(session);
  enter(session);
}

function enter(session) {
  token = session.token;
  desk.open(session.user, session.token);
}

async function logOut() {
  const ended = api.logOut();
  leave(token, false);
  // Whatever comes of it, this browser has forgotten the token.
  await ended.catch(() => {});
}

/** Forgets a token that is worth nothing any more, in all tabs. */
function leave(ended, hasEnded) {
  forgetSession(ended);
  if (ended !== token) return;
  token = null;
  desk.close(hasEnded);
}

/** Does what another tab did: who logs in there is logged in here, and who logs out there is logged out here. */
onSessionChange((session) => {
  if (session?.token === (token ?? undefined)) return;
  token = null;
  if (session) enter(session);
  else desk.close();
});

addEventListener("hashchange", () => desk.show(currentRoute()));
document.addEventListener("visibilitychange", () => desk.markRead());

const session = savedSession();
if (session) enter(session);
render(<App store={store} desk={desk} demo={config.demo} logIn={logIn} logOut={logOut} />, root);
