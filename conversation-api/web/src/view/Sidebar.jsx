import { HOME_HREF, departmentHref } from "../route.js";
import { Avatar } from "./Avatar.jsx";
import { ConnectionState } from "./ConnectionState.jsx";
import { LeaveIcon, LogoIcon } from "./icons.jsx";
import { roleName } from "./people.js";

/** The first column: who I am, whether it is live, where to go, and the list. */
export function Sidebar({ state, desk, logOut, children }) {
  const { user, route, departments, connection, failure } = state;
  return (
    <div class="sidebar">
      <header>
        <h1><LogoIcon /> TIMS</h1>
        <ConnectionState connection={connection} retry={desk.retryConnection} />
      </header>
      <nav aria-label="Views">
        <a href={HOME_HREF} aria-current={route.view === "department" ? undefined : "page"}>Conversations</a>
        {departments.map(({ id, name }) => (
          <a key={id} href={departmentHref(id)}
            aria-current={route.view === "department" && route.id === id ? "page" : undefined}>{name}</a>
        ))}
      </nav>
      {failure && <p class="failure" role="alert">{failure}</p>}
      {children}
      <footer>
        <Avatar name={user.name} colleague />
        <span class="who">
          <span class="name">{user.name}</span>
          <span class="note">{roleName(user.role)}</span>
        </span>
        <button type="button" class="icon-button" onClick={logOut} aria-label="Log out" title="Log out"><LeaveIcon /></button>
      </footer>
    </div>
  );
}
