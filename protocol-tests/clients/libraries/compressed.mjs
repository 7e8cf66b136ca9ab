// A WebSocket of Node's `ws`, which offers compression. CLIENT_TEST names the server. The first line of output is the
// extension that was agreed on, each other one a message that was received; each line of input is a message to send.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const { host, port, tls, app } = JSON.parse(process.env.CLIENT_TEST);
const socket = new WebSocket(`${tls ? "wss" : "ws"}://${host}:${port}/app/${app.key}?protocol=7&client=ws&version=8.0.0`, {
  // Everything that it sends is compressed.
  perMessageDeflate: { threshold: 0 },
});
const lines = createInterface({ input: process.stdin });
socket.on("upgrade", (response) => console.log(response.headers["sec-websocket-extensions"] ?? "none"));
socket.on("message", (data) => console.log(data.toString()));
socket.on("error", (error) => {
  console.error(error.stack);
  process.exit(1);
});
lines.on("line", (line) => socket.send(line));
lines.on("close", () => socket.close(1000));
