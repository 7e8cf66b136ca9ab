// Several pusher-js clients that stay on while the servers behind their address are restarted one by one:
//
//     node rolling.mjs '{"host", "port", "app": {"id", "key", "secret"}, "tag", "clients", "channel", "presence"}'
//
// Each line on standard output is something that happened to a client, with the time in milliseconds: "subscribed", "lost"
// (its connection), or "event" with its number. A line on standard input ends the program, which says at last
// how many members each client sees.
import { createInterface } from "node:readline";
import { startApp } from "./app/server.mjs";
import { VERSIONS } from "./environments/versions.mjs";
import { World } from "./lib/world.mjs";

const settings = JSON.parse(process.argv[2]);
const { default: exported } = await import(VERSIONS["pusher-js"][8].pusher);
const Pusher = exported.default ?? exported;
const app = await startApp(settings);
const world = new World({ Pusher, settings, appUrl: app.url, backend: app.backend });

const report = (client, what, more) => console.log(JSON.stringify({ client, at: Date.now(), what, ...more }));

const presences = Array.from({ length: settings.clients }, (_, client) => {
  const pusher = world.pusher(`user-${client}`, { enabledTransports: ["ws"] });
  pusher.connection.bind("state_change", ({ previous }) => {
    if (previous === "connected") report(client, "lost");
  });
  const channel = pusher.subscribe(settings.channel);
  channel.bind("pusher:subscription_succeeded", () => report(client, "subscribed"));
  channel.bind("pusher:subscription_error", (error) => report(client, "refused", { error }));
  channel.bind("number", (number) => report(client, "event", { number: Number(number) }));
  return pusher.subscribe(settings.presence);
});

for await (const _end of createInterface({ input: process.stdin })) break;
presences.forEach((presence, client) => report(client, "members", { count: presence.members.count }));
world.close();
app.close();
process.exit(0);
