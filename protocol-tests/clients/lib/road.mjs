// A TCP proxy between pages and the server, whose connections can be reset, and can fall silent.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Starts a proxy to a server on this host. */
export async function openRoad({ host, port }) {
  const sockets = new Set();
  const silent = new Set();
  let isClosed = false;
  const server = createServer((client) => {
    if (isClosed) return client.resetAndDestroy();
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
        silent.delete(from);
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
    /** Resets all connections, and for so many milliseconds whoever comes. */
    closeFor(milliseconds) {
      isClosed = true;
      setTimeout(() => { isClosed = false; }, milliseconds);
      return this.reset();
    },
    /** Passes nothing more on over the connections that there are, nor that they end, and answers with how many there are. */
    hold() {
      const open = [...sockets].filter((socket) => !silent.has(socket));
      for (const socket of open) {
        socket.unpipe();
        socket.pause();
        silent.add(socket);
      }
      return open.length / 2;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
