// Lets a test call Pusher's server library for Node.
//
// The environment variable CLIENT_TEST holds the server under test: {"host", "port", "app": {"id", "key", "secret"}}.
// Each line of standard input is a call, {"method": "trigger", "arguments": ["channel", "event", {}]}; each is answered
// by a line {"result": …} or {"error": "401: …"}. The result of a request is the answer's body, that of a webhook what the
// library says of it.
import { createInterface } from "node:readline";
import Pusher from "pusher";
import { serverLibrary } from "../app/backend.mjs";

const library = serverLibrary(JSON.parse(process.env.CLIENT_TEST));

async function answer({ method, arguments: parameters }) {
  try {
    const result = await library[method](...parameters);
    if (method === "webhook") return { result: judged(result) };
    return { result: typeof result.json === "function" ? await result.json() : result };
  } catch (error) {
    if (!(error instanceof Pusher.RequestError)) throw error;
    return { error: `${error.status ?? error.message}: ${error.body ?? error.error}` };
  }
}

function judged(webhook) {
  if (!webhook.isValid()) return { valid: false };
  return { valid: true, events: webhook.getEvents(), time_ms: webhook.getTime().getTime() };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
