// pusher-js, which asks the test for its authorisation. Standard input and output are a JSON value a line.
//
// In: the relay with `more.channels`; then the answer to each question, in order.
// Out: {"ask": "channel" | "user", socket_id, channel_name}, {"subscribed": name, "members"}, {"signed_in": user_data},
// {"event", "channel", "data"} for each event, {"error"}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.cwd()}/`);
const library = require("pusher-js-8");
const Pusher = library.default ?? library;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (value) => console.log(JSON.stringify(value));
const read = async () => {
  const { value, done } = await lines.next();
  return done ? undefined : JSON.parse(value);
};

// One question at a time, so that answers need no numbers.
let last = Promise.resolve();
const ask = (question) => {
  const answer = last.then(() => (say(question), read()));
  last = answer;
  return answer;
};

const { host, port, app, more } = await read();
const pusher = new Pusher(app.key, {
  cluster: "", wsHost: host, wsPort: port, forceTLS: false, enabledTransports: ["ws"],
  channelAuthorization: {
    customHandler: ({ socketId, channelName }, callback) =>
      ask({ ask: "channel", socket_id: socketId, channel_name: channelName }).then((answer) => callback(null, answer)),
  },
  userAuthentication: {
    customHandler: ({ socketId }, callback) =>
      ask({ ask: "user", socket_id: socketId }).then((answer) => callback(null, answer)),
  },
});

pusher.user.bind_global?.((event, data) => event.startsWith("pusher:") || say({ event, channel: "user", data }));
pusher.bind("pusher:signin_success", (data) => say({ signed_in: data.user_data }));
pusher.bind("pusher:error", (error) => say({ error: String(error?.data?.message ?? error) }));
for (const name of more.channels) {
  const channel = pusher.subscribe(name);
  channel.bind("pusher:subscription_succeeded", (members) => say({ subscribed: name, members: members?.members }));
  channel.bind("pusher:subscription_error", (error) => say({ error: `${name}: ${JSON.stringify(error)}` }));
  channel.bind_global((event, data) => event.startsWith("pusher:") || say({ event, channel: name, data }));
}
pusher.signin();

// Until the test closes the input: all that it writes is answers.
process.stdin.on("end", () => pusher.disconnect());
