// A TCP proxy between pages and the server, whose connections can be reset.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Starts a proxy to a server on this host. */
export async function openRoad({ host, port }) {
  const sockets = new Set();
  const server = createServer((client) => {
    const relay = connect(port, host);
    const pair = [client, relay];
    for (const [from, to] of [pair, [relay, client]]) {
      sockets.add(from);
      from.setNoDelay(true);
      from.pipe(to);
      // Whatever ends one side ends the other.
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: server.address().port,
    /** Resets all connections, and answers with how many there were. */
    reset() {
      const open = [...sockets];
      for (const socket of open) socket.resetAndDestroy();
      return open.length / 2;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
