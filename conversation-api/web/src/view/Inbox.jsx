import { useState } from "preact/hooks";

import { departmentsOf } from "../desk/feeds.js";
import { conversationHref } from "../route.js";
import { ConversationList } from "./ConversationList.jsx";
import { DepartmentFeed } from "./DepartmentFeed.jsx";
import { Details } from "./Details.jsx";
import { CloseIcon } from "./icons.jsx";
import { Keys } from "./Keys.jsx";
import { plural } from "./people.js";
import { Settings } from "./Settings.jsx";
import { useShortcuts } from "./shortcuts.js";
import { Sidebar } from "./Sidebar.jsx";
import { Thread } from "./Thread.jsx";

/** Three columns where there is room; on a phone one of them, which the address chooses. */
export function Inbox({ state, desk, logOut }) {
  const [showsDetails, setShowsDetails] = useState(false);
  /** "settings", "keys" or null. */
  const [dialog, setDialog] = useState(null);
  const { route, thread, user, preferences } = state;
  const conversation = thread ? state.conversations[thread.id] : null;
  const department = route.view === "department" && departmentsOf(user, state.departments.data).find(({ id }) => id === route.id);
  const close = () => setDialog(null);
  useShortcuts(preferences.shortcuts, () => setDialog("keys"));
  return (
    <div class={`inbox shows-${route.view}`}>
      <button type="button" class="skip" onClick={skip}>Skip to the {route.view === "none" ? "list" : "conversation"}</button>
      <Sidebar state={state} desk={desk} logOut={logOut} openSettings={() => setDialog("settings")}>
        <ConversationList conversations={state.conversations} list={state.list} counts={state.counts} openId={thread?.id}
          user={user} desk={desk} />
      </Sidebar>
      <main class="middle">
        {route.view === "conversation" && (
          <Thread key={thread?.id} state={state} desk={desk} conversation={conversation}
            toggleDetails={() => setShowsDetails(!showsDetails)} showsDetails={showsDetails} />
        )}
        {route.view === "department" && <DepartmentFeed key={route.id} state={state} department={department} desk={desk} />}
        {route.view === "none" && <p class="empty">Choose a conversation to read and answer it.</p>}
      </main>
      {conversation && (
        <Details conversation={conversation} state={state} desk={desk} isOpen={showsDetails}
          close={() => setShowsDetails(false)} />
      )}
      {dialog === "settings" && <Settings preferences={preferences} desk={desk} close={close} />}
      {dialog === "keys" && <Keys close={close} />}
      <Notices state={state} desk={desk} />
      <p class="unseen" role="status">{state.announcement}</p>
    </div>
  );
}

/** A link would change the address, which names what is open. */
function skip() {
  const targets = ["composer", "thread-title", "feed-title"].map((id) => document.getElementById(id));
  const target = targets.find((element) => element && !element.disabled) ?? document.querySelector("a.row");
  target?.focus();
}

/** What went wrong last, and which messages did not arrive. */
function Notices({ state: { failure, undelivered, conversations }, desk }) {
  const id = undelivered.at(-1);
  const others = undelivered.length - 1;
  return (
    <div class="notice" role="alert">
      {failure && <Notice close={desk.clearFailure}>{failure}</Notice>}
      {id && (
        <Notice close={desk.clearUndelivered}>
          A message to <a href={conversationHref(id)}><bdi>{conversations[id]?.contact.name ?? `conversation ${id}`}</bdi></a> was not
          delivered{others > 0 && <>, nor were messages to {plural(others, "other", "others")}</>}.
        </Notice>
      )}
    </div>
  );
}

const Notice = ({ close, children }) => (
  <p>
    <span>{children}</span>{" "}
    <button type="button" class="icon-button" onClick={close} aria-label="Dismiss"><CloseIcon /></button>
  </p>
);
