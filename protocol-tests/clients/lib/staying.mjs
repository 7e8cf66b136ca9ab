// Clients that stay on, whatever becomes of their server: ways to connect one to a port.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ASYNCPUSHER = fileURLToPath(new URL("../libraries/asyncpusher_client.py", import.meta.url));

/**
 * By their names. Each takes { host, port, key, report } and returns what ends it; `report` is handed "connected", and
 * "closed" with the code.
 *
 * @param {string} python the interpreter that has asyncpusher
 */
export async function stayingClients(python) {
  const clients = {};
  for (const version of [4, 7, 8]) {
    const { default: exported } = await import(`pusher-js-${version}`);
    const Pusher = exported.default ?? exported;
    clients[`pusher-js ${version}`] = ({ host, port, key, report }) => {
      const pusher = new Pusher(key, {
        cluster: "", wsHost: host, wsPort: port, forceTLS: false, enabledTransports: ["ws"],
      });
      pusher.connection.bind("connected", () => {
        pusher.connection.connection.transport.bind("closed", ({ code }) => report("closed", code));
        report("connected");
      });
      return () => pusher.disconnect();
    };
  }
  clients.asyncpusher = ({ host, port, key, report }) => {
    const url = `ws://${host}:${port}/app/${key}?client=asyncpusher&version=0.2.5&protocol=7`;
    const child = spawn(python, [ASYNCPUSHER, url], { stdio: ["pipe", "pipe", "ignore"] });
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { what, code } = JSON.parse(line);
      report(what, code);
    });
    return () => child.kill();
  };
  return clients;
}
