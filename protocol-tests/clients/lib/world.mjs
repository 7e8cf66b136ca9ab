// What a scenario has at hand, under Node and in a page.

export class World {
  #clients = [];
  #count = 0;
  // A page that polls is a member for a moment longer than it is there.
  #run = Math.random().toString(36).slice(2, 8);

  /**
   * @param {object} parts
   * @param {Function} parts.Pusher pusher-js
   * @param {Function} [parts.Echo] Laravel Echo
   * @param {boolean} parts.pusherIsGlobal whether Echo finds pusher-js by itself, as in a page
   * @param {object} parts.settings the server under test: host, port, app; tag: what makes names unique
   * @param {string} parts.appUrl the application, which authorizes and publishes
   * @param {object} parts.backend the application's server side: the methods of app/backend.mjs
   * @param {Function} parts.restartServer restarts the server on its port
   */
  constructor(parts) {
    Object.assign(this, parts);
  }

  /** A name that no other scenario uses. */
  unique(prefix) {
    this.#count += 1;
    return `${prefix}${this.settings.tag}-${this.#run}-${this.#count}`;
  }

  /** A pusher-js client of `userId`, set up as for a server of one's own. */
  pusher(userId, { key = this.settings.app.key, ...options } = {}) {
    const headers = { Authorization: `Bearer ${userId}` };
    const pusher = new this.Pusher(key, {
      ...this.#connection(),
      cluster: "",
      channelAuthorization: { transport: "ajax", endpoint: `${this.appUrl}/pusher/auth`, headers },
      userAuthentication: { transport: "ajax", endpoint: `${this.appUrl}/pusher/user-auth`, headers },
      ...options,
    });
    this.#clients.push(pusher);
    return pusher;
  }

  /** A pusher-js client of `userId` who wants to know when these users are online. */
  watcher(userId, watchlist) {
    const headers = { Authorization: `Bearer ${userId}` };
    const params = { watchlist: watchlist.join(",") };
    const endpoint = `${this.appUrl}/pusher/user-auth`;
    return this.pusher(userId, { userAuthentication: { transport: "ajax", endpoint, headers, params } });
  }

  /** A Laravel Echo client of `userId`, set up as Laravel's installer does it. */
  echo(userId, options = {}) {
    const echo = new this.Echo({
      broadcaster: "reverb",
      key: this.settings.app.key,
      ...this.#connection(),
      ...(this.pusherIsGlobal ? {} : { Pusher: this.Pusher }),
      bearerToken: String(userId),
      authEndpoint: `${this.appUrl}/broadcasting/auth`,
      // Echo adds the token to these objects; its own defaults are shared by all its instances.
      auth: { headers: {} },
      userAuthentication: { endpoint: `${this.appUrl}/broadcasting/user-auth`, headers: {} },
      ...options,
    });
    this.#clients.push(echo);
    return echo;
  }

  /** Disconnects every client. */
  close() {
    for (const client of this.#clients.splice(0)) client.disconnect();
  }

  #connection() {
    const { host, port, tls, transport } = this.settings;
    const webSockets = ["ws", "wss"];
    const transports = {
      // As pusher-js has it by itself: a WebSocket first, and other ways if there is none.
      default: {},
      "no-websocket": { disabledTransports: webSockets },
    }[transport] ?? { enabledTransports: transport ? [transport] : webSockets };
    return {
      wsHost: host, wsPort: port, wssPort: port, httpHost: host, httpPort: port, httpsPort: port,
      forceTLS: Boolean(tls),
      ...transports,
    };
  }
}
