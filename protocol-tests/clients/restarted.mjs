// What clients see of a server that is stopped and started again:
//
//     node restarted.mjs <python>
//
// CLIENT_TEST names the server. When all are connected this prints "@restart"; each other line is a client that is back, and the
// code that its first connection was closed with.
import { stayingClients } from "./lib/staying.mjs";
import { eventually } from "./lib/wait.mjs";

const { host, port, app } = JSON.parse(process.env.CLIENT_TEST);
const seen = {};
const ends = [];
for (const [name, connect] of Object.entries(await stayingClients(process.argv[2]))) {
  const mine = seen[name] = { connected: 0, closed: [] };
  const report = (what, code) => {
    if (what === "connected") mine.connected += 1;
    else mine.closed.push(code);
  };
  ends.push(connect({ host, port, key: app.key, report }));
}
const all = (has) => Object.values(seen).every(has);
try {
  await eventually("all to be connected", () => all(({ connected }) => connected > 0));
  console.log("@restart");
  await eventually("all to be back", () => all(({ connected }) => connected > 1));
  for (const [name, { closed: [first] }] of Object.entries(seen)) console.log(`${name} ${first}`);
} catch (error) {
  throw new Error(`${error.message}: ${JSON.stringify(seen)}`, { cause: error });
} finally {
  for (const end of ends) end();
}
process.exit(0);
