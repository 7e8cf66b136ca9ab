// A webhook endpoint over TLS: Node's own HTTP servers.
//
// The first line of standard input says how: {"key": "<PEM>", "cert": "<PEM>", "http2": true}. The first line of
// output is its port; each further one a request that came: {"httpVersion": "2.0", "session": 1,
// "path": "/hook", "headers": {…}, "body": "…"}, where the session is the connection's number. It ends with its input.
import { createInterface } from "node:readline";
import { createServer } from "node:https";
import { createSecureServer } from "node:http2";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { key, cert, http2 } = JSON.parse((await lines.next()).value);

const connections = new Map();
async function note(request, response) {
  let body = "";
  for await (const chunk of request) body += chunk;
  const socket = request.stream?.session.socket ?? request.socket;
  const peer = `${socket.remoteAddress}:${socket.remotePort}`;
  if (!connections.has(peer)) connections.set(peer, connections.size + 1);
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !name.startsWith(":")));
  const noted = { httpVersion: request.httpVersion, session: connections.get(peer), path: request.url, headers, body };
  response.writeHead(200).end("ok", () => console.log(JSON.stringify(noted)));
}

const server = http2 ? createSecureServer({ key, cert, allowHTTP1: true }, note) : createServer({ key, cert }, note);
// A client that does not trust the certificate hangs up in the middle of the handshake.
server.on("tlsClientError", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));

await lines.next();
process.exit(0);
