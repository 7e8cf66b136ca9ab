// Meta's Graph API, as far as the backend uses it: messages are taken, and files are handed out.
import { once } from "node:events";
import { createServer } from "node:http";

export const TOKEN = "graph-token";
export const PHONE_NUMBER_ID = "4930";

export async function startGraph() {
  const files = new Map();
  const sent = [];
  const refusals = [];
  const waiting = [];
  let sequence = 0;
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://graph");
    const answer = (status, body) => response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return answer(401, { error: { code: 190, message: "no token" } });
    if (request.method === "POST" && pathname === `/${PHONE_NUMBER_ID}/messages`) {
      const message = JSON.parse(await text(request));
      if (refusals.length > 0) return answer(400, { error: refusals.shift() });
      sequence += 1;
      const id = `wamid.sent-${sequence}`;
      sent.push({ id, ...message });
      for (const check of [...waiting]) check();
      return answer(200, { messaging_product: "whatsapp", messages: [{ id }] });
    }
    const [, prefix, name] = pathname.split("/");
    const file = files.get(prefix === "files" ? name : prefix);
    if (!file) return answer(404, { error: { code: 100, message: "Unsupported get request." } });
    if (prefix === "files") return response.writeHead(200, { "Content-Type": file.mimeType }).end(file.bytes);
    const url = `${graph.url}/files/${prefix}`;
    return answer(200, { id: prefix, url, mime_type: file.mimeType, file_size: file.bytes.length, messaging_product: "whatsapp" });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const graph = {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Keeps a file that a customer sends. */
    keep: (id, mimeType, bytes) => files.set(id, { mimeType, bytes }),
    /** Has the next message refused. */
    refuseNext: (error) => refusals.push(error),
    /** How often a text was sent to a customer. */
    timesSent: (body) => sent.filter((message) => message.text?.body === body).length,
    /** The message that matches, once it has been sent. */
    async awaitSent(matches) {
      for (;;) {
        const found = sent.find(matches);
        if (found) return found;
        await new Promise((resolve) => {
          const check = () => {
            waiting.splice(waiting.indexOf(check), 1);
            resolve();
          };
          waiting.push(check);
        });
      }
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return graph;
}

async function text(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
}
