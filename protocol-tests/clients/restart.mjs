// How soon clients are back after a server that closes them with a code and is away for a while:
//
//     node restart.mjs <python>
//
// The servers are stubs of this program, one for each code and time away. A row for each client and code is printed,
// with the seconds from the close to the next connection for each time away.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { stayingClients } from "./lib/staying.mjs";

const CODES = [4200, 4100, 1001, 1012];
const AWAY_SECONDS = [0.1, 0.5, 2, 5];
const LIMIT_SECONDS = 60;
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const cleanUp = [];

function text(payload) {
  const body = Buffer.from(payload);
  return Buffer.concat([Buffer.from([0x81, body.length]), body]);
}

function close(code) {
  const body = Buffer.alloc(2);
  body.writeUInt16BE(code);
  return Buffer.concat([Buffer.from([0x88, 2]), body]);
}

/** A server that takes one connection after the other; `port` 0 is any. */
async function listen(port) {
  const server = createServer();
  const sockets = [];
  server.on("upgrade", (request, socket) => {
    const accept = createHash("sha1").update(request.headers["sec-websocket-key"] + GUID).digest("base64");
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
    const data = JSON.stringify({ socket_id: "1.1", activity_timeout: 120 });
    socket.write(text(JSON.stringify({ event: "pusher:connection_established", data })));
    sockets.push(socket);
    server.emit("client", socket);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** Seconds from the close until the client is back. */
async function measure(connect, code, away) {
  const first = await listen(0);
  const { port } = first.address();
  const connected = once(first, "client");
  cleanUp.push(connect({ host: "127.0.0.1", port, key: "key", report() {} }));
  const [socket] = await connected;
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const reason = text(JSON.stringify({ event: "pusher:error", data: { code, message: "going away" } }));
  socket.write(Buffer.concat(code < 4000 ? [close(code)] : [reason, close(code)]));
  const start = Date.now();
  first.close();
  setTimeout(() => socket.destroy(), 50);
  await new Promise((resolve) => setTimeout(resolve, away * 1000));
  const second = await listen(port);
  const limit = new Promise((resolve) => setTimeout(resolve, LIMIT_SECONDS * 1000, "never"));
  const back = once(second, "client").then(() => ((Date.now() - start) / 1000).toFixed(1));
  const seconds = await Promise.race([back, limit]);
  second.close();
  second.closeAllConnections();
  return seconds;
}

console.log(`| client | closed with | ${AWAY_SECONDS.map((away) => `away ${away} s`).join(" | ")} |`);
console.log(`| --- | --- |${" --- |".repeat(AWAY_SECONDS.length)}`);
for (const [name, connect] of Object.entries(await stayingClients(process.argv[2]))) {
  const rows = CODES.map((code) => Promise.all(AWAY_SECONDS.map((away) => measure(connect, code, away))));
  for (const [index, row] of rows.entries()) {
    console.log(`| ${name} | ${CODES[index]} | ${(await row).join(" | ")} |`);
  }
}
cleanUp.forEach((end) => end());
process.exit(0);
