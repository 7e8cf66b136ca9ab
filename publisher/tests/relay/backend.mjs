// Pusher's server library for Node. Standard input and output are a JSON value a line.
//
// In: the relay with `more.master_key`, in base64; then calls, {"method", "arguments"}.
// Out: the answer to each, {"result"}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.cwd()}/`);
const Pusher = require("pusher");

let pusher;
for await (const line of createInterface({ input: process.stdin })) {
  const value = JSON.parse(line);
  if (pusher === undefined) {
    const { host, port, app, more } = value;
    pusher = new Pusher({
      appId: app.id, key: app.key, secret: app.secret, host, port: String(port), useTLS: false,
      encryptionMasterKeyBase64: more.master_key,
    });
    continue;
  }
  const result = await pusher[value.method](...value.arguments);
  console.log(JSON.stringify({ result: value.method === "trigger" ? result.status : result }));
}
