import { useState } from "preact/hooks";

import { Avatar } from "./Avatar.jsx";
import { LogoIcon } from "./icons.jsx";
import { roleName } from "./people.js";

export function Login({ demo, logIn, hasEnded }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [failure, setFailure] = useState("");
  const [isBusy, setBusy] = useState(false);

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    try {
      await logIn(email, password);
    } catch (error) {
      setFailure(error.message);
      setBusy(false);
    }
  }

  return (
    <main class="login">
      <form onSubmit={submit}>
        <h1><LogoIcon /> TIMS inbox</h1>
        {hasEnded && <p class="ended" role="status">Your log-in has ended. Log in again: what you have written is kept.</p>}
        <label>
          E-mail
          <input type="email" name="email" autocomplete="username" required autofocus value={email}
            placeholder={demo ? demo.accounts[0].email : "you@example.com"} onInput={(event) => setEmail(event.target.value)} />
        </label>
        <label>
          Password
          <input type="password" name="password" autocomplete="current-password" required value={password}
            onInput={(event) => setPassword(event.target.value)} />
        </label>
        <p class="failure" role="alert">{failure}</p>
        <button class="primary" disabled={isBusy}>{isBusy ? "Logging in…" : "Log in"}</button>
      </form>
      {demo && (
        <section class="accounts" aria-labelledby="accounts">
          <h2 id="accounts">Demonstration accounts</h2>
          <p>The password of all of them is <code>{demo.password}</code>. Choose one to fill the form.</p>
          <ul>
            {demo.accounts.map((account) => (
              <li key={account.email}>
                <button type="button" onClick={() => { setEmail(account.email); setPassword(demo.password); }}>
                  <Avatar name={account.name} colleague size="small" />
                  <span class="name">{account.name}</span>
                  <span class="note">{roleName(account.role)}{account.department && `, ${account.department}`}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
    </main>
  );
}
