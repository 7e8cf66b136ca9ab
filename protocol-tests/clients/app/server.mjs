// The application that the clients belong to: it authorizes channels, authenticates users and serves the test page.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { once } from "node:events";
import { extname } from "node:path";
import { backend, serverLibrary } from "./backend.mjs";

const ROOT = new URL("..", import.meta.url);
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".mjs": "text/javascript" };
const SERVED = /^\/(?:browser|lib|node_modules|scenarios)(?:\/[\w-][\w.-]*)+$/;

/** Starts the application on a free port. */
export async function startApp(settings) {
  const pusher = serverLibrary(settings);
  const context = { pusher, impostor: serverLibrary(settings, { secret: "not the app's secret" }) };
  const server = createServer((request, response) => {
    answer(context, request).then(
      ({ status = 200, type = "application/json", body }) =>
        response.writeHead(status, { "content-type": type }).end(body),
      (error) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    backend: backend(pusher),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(context, request) {
  const { pathname, searchParams } = new URL(request.url, "http://app");
  // Stands in for a server or a proxy that does not do what it is asked.
  if (pathname === "/refused") return { status: Number(searchParams.get("status")), body: "" };
  if (request.method === "GET") return file(pathname);
  const user = userOf(request);
  if (!user) return { status: 403, body: "" };
  const form = new URLSearchParams(await bodyOf(request));
  switch (pathname) {
    case "/pusher/auth":
    case "/broadcasting/auth":
      return json(authorize(context, user, form.get("socket_id"), form.get("channel_name")));
    case "/pusher/user-auth":
    case "/broadcasting/user-auth":
      return json(context.pusher.authenticateUser(form.get("socket_id"), {
        id: user.id, user_info: user.info, watchlist: form.get("watchlist")?.split(","),
      }));
    case "/orders":
      return json(await shipOrder(context, request, form));
    default:
      return { status: 404, body: "" };
  }
}

function authorize({ pusher, impostor }, user, socketId, channel) {
  if (channel.startsWith("private-wrongly-signed-")) return impostor.authorizeChannel(socketId, channel);
  // A member known from its sign-in needs no channel_data.
  if (channel.startsWith("presence-signed-in-")) return pusher.authorizeChannel(socketId, channel);
  if (channel.startsWith("presence-")) {
    // As Laravel does, a number where the user's key is one.
    const user_id = /^\d+$/.test(user.id) ? Number(user.id) : user.id;
    return pusher.authorizeChannel(socketId, channel, { user_id, user_info: user.info });
  }
  return pusher.authorizeChannel(socketId, channel);
}

/** Publishes as Laravel's `broadcast(new OrderShipped(…))->toOthers()` does. */
async function shipOrder({ pusher }, request, form) {
  await pusher.trigger(form.get("channel"), "App\\Events\\OrderShipped", { order: Number(form.get("order")) }, {
    socket_id: request.headers["x-socket-id"],
  });
  return {};
}

function userOf(request) {
  const id = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
  return id && { id, info: { name: `User ${id}` } };
}

async function bodyOf(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
}

async function file(pathname) {
  if (!SERVED.test(pathname)) return { status: 404, body: "" };
  const body = await readFile(new URL(`.${pathname}`, ROOT));
  return { type: TYPES[extname(pathname)] ?? "application/octet-stream", body };
}

function json(value) {
  return { body: JSON.stringify(value) };
}
