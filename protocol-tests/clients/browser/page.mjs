// The page's side of environments/chromium.mjs: `callBackend` leads out of the page.
import { World } from "/lib/world.mjs";
import { Inbox } from "/lib/wait.mjs";

/** Makes `window.world` from the libraries that the page has loaded. */
window.openWorld = ({ settings, appUrl, methods }) => {
  const backend = Object.fromEntries(
    methods.map((method) => [method, (...parameters) => window.callBackend(method, parameters)]),
  );
  window.Inbox = Inbox;
  window.world = new World({
    Pusher: window.Pusher,
    // Echo 2 is a module in the global variable, Echo 1 the class itself.
    Echo: window.Echo?.default ?? window.Echo,
    pusherIsGlobal: true,
    settings,
    appUrl,
    backend,
    restartServer: backend.restartServer,
  });
};

/** Runs a scenario, and answers with what went wrong, if anything. */
window.runScenario = async (suite, name) => {
  const { scenarios, special } = await import(`/scenarios/${suite}.mjs`);
  try {
    await { ...scenarios, ...special }[name](window.world);
    return null;
  } catch (error) {
    return error.stack ?? String(error);
  } finally {
    window.world.close();
  }
};
