import { departmentsOf } from "../desk/feeds.js";
import { HOME_HREF, departmentHref } from "../route.js";
import { Avatar } from "./Avatar.jsx";
import { ConnectionState } from "./ConnectionState.jsx";
import { LeaveIcon, LogoIcon, SettingsIcon } from "./icons.jsx";
import { roleName } from "./people.js";

/** The first column: who I am, whether it is live, where to go, and the list. */
export function Sidebar({ state, desk, logOut, openSettings, children }) {
  const { user, route, departments, connection } = state;
  const isFeed = route.view === "department";
  return (
    <div class="sidebar">
      <header>
        <h1><LogoIcon /> TIMS</h1>
        <ConnectionState connection={connection} retry={desk.retryConnection} />
      </header>
      <nav aria-label="Views">
        <a href={HOME_HREF} aria-current={isFeed ? undefined : "page"}>Conversations</a>
        {departmentsOf(user, departments.data).map(({ id, name }) => (
          <a key={id} href={departmentHref(id)} aria-current={isFeed && route.id === id ? "page" : undefined}><bdi>{name}</bdi></a>
        ))}
      </nav>
      {children}
      <footer>
        <Avatar name={user.name} colleague />
        <span class="who">
          <span class="name"><bdi>{user.name}</bdi></span>
          <span class="note">{roleName(user.role)}</span>
        </span>
        <button type="button" class="icon-button" onClick={openSettings} aria-label="Settings" title="Settings"><SettingsIcon /></button>
        <button type="button" class="icon-button" onClick={logOut} aria-label="Log out" title="Log out"><LeaveIcon /></button>
      </footer>
    </div>
  );
}
