// Runs scenarios in this process, with the libraries' builds for Node.
import { World } from "../lib/world.mjs";

export async function openNode({ packages, settings, app, restartServer }) {
  const Pusher = await classOf(packages.pusher);
  const Echo = packages.echo && (await classOf(packages.echo));
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

/** The class that a package is there for, its default export. */
async function classOf(name) {
  const { default: exported } = await import(name);
  // Echo 1 is a CommonJS module, whose own default export lies one deeper.
  return exported.default ?? exported;
}
