// The server side of the application: Pusher's own library for Node, pointed at the server under test.
import { createHash } from "node:crypto";
import Pusher from "pusher";

const ENCRYPTION_KEY = createHash("sha256").update("the key of this test's encrypted channels").digest("base64");

/** Pusher's library for the app under test. */
export function serverLibrary({ host, port, tls, app }, { secret = app.secret } = {}) {
  return new Pusher({
    appId: app.id,
    key: app.key,
    secret,
    host,
    port: String(port),
    useTLS: Boolean(tls),
    encryptionMasterKeyBase64: ENCRYPTION_KEY,
    timeout: 20_000,
  });
}

/** What scenarios ask of the server side. Takes and returns plain JSON, so that a page can call it too. */
export function backend(pusher) {
  const json = async (response) => (await response).json();
  return {
    trigger: (channels, event, data, params) => json(pusher.trigger(channels, event, data, params)),
    triggerBatch: (events) => json(pusher.triggerBatch(events)),
    sendToUser: (userId, event, data) => json(pusher.sendToUser(userId, event, data)),
    terminateUserConnections: (userId) => json(pusher.terminateUserConnections(userId)),
    channel: (name, params = {}) => json(pusher.get({ path: `/channels/${name}`, params })),
    users: (name) => json(pusher.get({ path: `/channels/${name}/users` })),
  };
}
