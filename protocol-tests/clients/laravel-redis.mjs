// A page of an app that came from laravel-echo-server: Laravel Echo over pusher-js, where socket.io-client was. What it
// hears goes to standard output, one JSON object a line; it ends with its standard input.
//
// CLIENT_TEST is a JSON object: host, port, app (key, secret), and the channels to listen to: one public, one private.
import { createHmac } from "node:crypto";
import Echo from "laravel-echo-2";
import Pusher from "pusher-js-8";

const { host, port, app, publicChannel, privateChannel, event } = JSON.parse(process.env.CLIENT_TEST);
const report = (line) => console.log(JSON.stringify(line));

const echo = new Echo({
  broadcaster: "pusher",
  Pusher: Pusher.default ?? Pusher,
  key: app.key,
  cluster: "",
  wsHost: host,
  wsPort: port,
  forceTLS: false,
  enabledTransports: ["ws"],
  // As the application's /broadcasting/auth answers with Laravel's driver `pusher`.
  authorizer: (channel) => ({
    authorize(socketId, callback) {
      const signature = createHmac("sha256", app.secret).update(`${socketId}:${channel.name}`).digest("hex");
      callback(null, { auth: `${app.key}:${signature}` });
    },
  }),
});

for (const channel of [echo.channel(publicChannel), echo.private(privateChannel)]) {
  channel
    .listen(event, (data) => report({ channel: channel.name, data }))
    .subscribed(() => report({ subscribed: channel.name, socketId: echo.socketId() }))
    .error((error) => report({ error }));
}

process.stdin.resume();
process.stdin.on("end", () => {
  echo.disconnect();
  process.exit(0);
});
