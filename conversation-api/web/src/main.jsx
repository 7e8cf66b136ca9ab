import { render } from "preact";

import { createApi } from "./api.js";
import { loadConfig } from "./config.js";
import { createDesk } from "./desk/desk.js";
import { EMPTY } from "./desk/state.js";
import { currentRoute } from "./route.js";
import { saveSession, savedSession } from "./session.js";
import { createStore } from "./store.js";
import { App } from "./view/App.jsx";
import "./styles/index.css";

const config = await loadConfig();
const store = createStore({ ...EMPTY, route: currentRoute() });
let token = null;

const api = createApi({ token: () => token, socketId: () => desk.socketId(), expired: leave });
const desk = createDesk({ store, api, config });

async function logIn(email, password) {
  const session = await api.logIn(email, password);
  enter(session);
}

function enter(session) {
  token = session.token;
  saveSession(session);
  desk.open(session.user, session.token);
}

async function logOut() {
  // Whatever comes of it, this page forgets the token.
  await api.logOut().catch(() => {});
  leave();
}

function leave() {
  token = null;
  saveSession(null);
  desk.close();
}

addEventListener("hashchange", () => desk.show(currentRoute()));
document.addEventListener("visibilitychange", () => desk.markRead());

const session = savedSession();
if (session) enter(session);
render(<App store={store} desk={desk} demo={config.demo} logIn={logIn} logOut={logOut} />, document.getElementById("app"));
