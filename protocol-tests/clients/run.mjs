// Runs scenarios of a client library against a server:
//
//     node run.mjs <node|chromium> <pusher-js|echo|fallback|tabs|pages|resume> <version>[/<transport>] <scenario…|all>
//     node run.mjs list
//
// The environment variable CLIENT_TEST holds the server under test: {"host", "port", "app": {"id", "key", "secret"},
// "tag", "tls"}, where the tag is anything that makes names unique, and a server that speaks TLS is one that Node trusts (NODE_EXTRA_CA_CERTS). "all" leaves out the scenarios that need a special
// server and, over another transport than WebSockets, those that are about these; to restart the server on its port this prints "@restart" and waits for a line on its standard input. Each
// scenario ends with a line PASS or FAIL; the exit code tells whether all passed.
import { createInterface } from "node:readline";
import { startApp } from "./app/server.mjs";
import { openChromium } from "./environments/chromium.mjs";
import { openNode } from "./environments/node.mjs";
import { VERSIONS } from "./environments/versions.mjs";
import * as fallback from "./scenarios/fallback.mjs";
import * as echo from "./scenarios/echo.mjs";
import * as pages from "./scenarios/pages.mjs";
import * as pusherJs from "./scenarios/pusher-js.mjs";
import * as resume from "./scenarios/resume.mjs";
import * as tabs from "./scenarios/tabs.mjs";

const SUITES = { "pusher-js": pusherJs, echo, fallback, tabs, pages, resume };
/** Suites whose scenarios drive pages from outside. */
const DRIVEN = new Set(["tabs", "pages", "resume"]);
const SCENARIO_LIMIT_MS = 300_000;

async function main([environment, suite, versionAndTransport, ...names]) {
  if (environment === "list") {
    const list = Object.entries(SUITES).map(([name, { scenarios, special }]) =>
      [name, { scenarios: Object.keys(scenarios), special: Object.keys(special) }]);
    console.log(JSON.stringify(Object.fromEntries(list)));
    return true;
  }
  const [version, transport] = versionAndTransport?.split("/") ?? [];
  const packages = VERSIONS[suite]?.[version];
  if (!["node", "chromium"].includes(environment) || !packages || names.length === 0) {
    throw new Error("usage: node run.mjs <node|chromium> <suite> <version>[/<transport>] <scenario…|all>");
  }
  if (!process.env.CLIENT_TEST) throw new Error("CLIENT_TEST is not set: it names the server under test");
  const settings = { ...JSON.parse(process.env.CLIENT_TEST), transport, pusher: packages.pusher };
  const app = await startApp(settings);
  const open = environment === "node" ? openNode : openChromium;
  const opened = await open({ packages, settings, app, restartServer });
  try {
    return await runAll(opened, suite, names, settings);
  } finally {
    await opened.close();
    app.close();
  }
}

async function runAll(opened, suite, names, settings) {
  const { scenarios, special, ofWebSockets = {} } = SUITES[suite];
  const fits = (name) => !settings.transport || !(name in ofWebSockets);
  const chosen = names[0] === "all" ? Object.keys(scenarios).filter(fits) : names;
  let passed = true;
  for (const name of chosen) {
    const scenario = { ...scenarios, ...special }[name];
    if (!scenario) throw new Error(`there is no scenario ${name} of ${suite}`);
    const start = Date.now();
    try {
      await within(name, runOne(opened, suite, scenario, settings));
      console.log(`PASS ${name} (${Date.now() - start} ms)`);
    } catch (error) {
      passed = false;
      console.log(`FAIL ${name}: ${error.stack ?? error}`);
    }
  }
  return passed;
}

function runOne(opened, suite, scenario, settings) {
  if (!DRIVEN.has(suite)) return opened.run(scenario, suite);
  return scenario({ openPage: opened.openPage, unique: (prefix) => `${prefix}${settings.tag}`, settings });
}

function within(name, running) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} took over ${SCENARIO_LIMIT_MS} ms`)), SCENARIO_LIMIT_MS);
  });
  return Promise.race([running, late]).finally(() => clearTimeout(timer));
}

async function restartServer() {
  const lines = createInterface({ input: process.stdin });
  const answered = new Promise((resolve) => lines.once("line", resolve));
  console.log("@restart");
  await answered;
  lines.close();
}

main(process.argv.slice(2)).then(
  (passed) => process.exit(passed ? 0 : 1),
  (error) => {
    console.error(error.stack ?? error);
    process.exit(1);
  },
);
