// Runs scenarios in this process, with the libraries' builds for Node.
import { createRequire } from "node:module";
import { World } from "../lib/world.mjs";

const require = createRequire(import.meta.url);

export function openNode({ packages, settings, app, restartServer }) {
  const Pusher = require(packages.pusher);
  const Echo = packages.echo && require(packages.echo).default;
  return {
    async run(scenario) {
      const world = new World({
        Pusher, Echo, pusherIsGlobal: false, settings, appUrl: app.url, backend: app.backend, restartServer,
      });
      try {
        await scenario(world);
      } finally {
        world.close();
      }
    },
    close() {},
  };
}
