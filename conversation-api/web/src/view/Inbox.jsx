import { useState } from "preact/hooks";

import { find } from "../desk/conversations.js";
import { ConversationList } from "./ConversationList.jsx";
import { DepartmentFeed } from "./DepartmentFeed.jsx";
import { Details } from "./Details.jsx";
import { Sidebar } from "./Sidebar.jsx";
import { Thread } from "./Thread.jsx";

/** Three columns where there is room; on a phone one of them, which the address chooses. */
export function Inbox({ state, desk, logOut }) {
  const [showsDetails, setShowsDetails] = useState(false);
  const { route, thread, departments } = state;
  const conversation = thread && find(state.conversations ?? [], thread.id);
  const department = route.view === "department" && departments.find(({ id }) => id === route.id);
  return (
    <div class={`inbox shows-${route.view}`}>
      <Sidebar state={state} desk={desk} logOut={logOut}>
        <ConversationList conversations={state.conversations} openId={thread?.id} hasMore={state.hasMore}
          user={state.user} fetchMore={desk.fetchMore} />
      </Sidebar>
      <main class="middle">
        {route.view === "conversation" && (
          <Thread key={thread?.id} state={state} desk={desk} conversation={conversation}
            toggleDetails={() => setShowsDetails(!showsDetails)} showsDetails={showsDetails} />
        )}
        {route.view === "department" && <DepartmentFeed key={route.id} state={state} department={department} />}
        {route.view === "none" && <p class="empty">Choose a conversation to read and answer it.</p>}
      </main>
      {conversation && (
        <Details conversation={conversation} state={state} desk={desk} isOpen={showsDetails}
          close={() => setShowsDetails(false)} />
      )}
      <p class="unseen" role="status">{state.announcement}</p>
    </div>
  );
}
