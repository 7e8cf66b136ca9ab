// Programs that a test starts, and that end with it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const running = new Set();

// None of these runs any code of the children's owners: they end with this process, however it ends.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(1));

/** Of the caller's environment programs get nothing that could be a setting: it may be of a desk with customers. */
const KEPT = ["PATH", "HOME", "TMPDIR"];

function ownEnvironment(variables) {
  const kept = Object.entries(process.env).filter(([name]) => KEPT.includes(name));
  return { ...Object.fromEntries(kept), ...variables };
}

function start(program, args, { env, cwd }) {
  const child = spawn(program, args, { cwd, env: ownEnvironment(env), stdio: ["ignore", "ignore", "pipe"] });
  running.add(child);
  const log = [];
  const lines = createInterface({ input: child.stderr });
  lines.on("line", (line) => log.push(line));
  const ended = once(child, "close").then(([code, signal]) => {
    running.delete(child);
    return { code, signal };
  });
  return { child, log, lines, ended };
}

/** Runs a program to its end, which must be a good one. */
export async function run(program, args, options) {
  const { log, ended } = start(program, args, options);
  const { code } = await ended;
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${log.join("\n")}`);
}

/** Starts a server that logs JSON, and waits for the address of its public listener. */
export async function serve(program, args, options) {
  const { child, log, lines, ended } = start(program, args, options);
  const listening = new Promise((resolve) => {
    lines.on("line", (line) => {
      const said = parsed(line);
      if (said.message === "listening" && said.listener === "public") resolve(said.address);
    });
  });
  const failed = ended.then(({ code, signal }) => {
    throw new Error(`${program} ended with ${code ?? signal}:\n${log.join("\n")}`);
  });
  failed.catch(() => {});
  const address = await Promise.race([listening, failed]);
  return {
    address,
    log,
    /** Asks it to end, which it must do well. */
    async stop() {
      child.kill("SIGTERM");
      const { code, signal } = await ended;
      const faults = log.filter((line) => parsed(line).level?.toUpperCase() === "ERROR" || line.includes("panicked at"));
      if (code !== 0 || faults.length > 0) {
        throw new Error(`${program} ended with ${code ?? signal}:\n${log.join("\n")}`);
      }
    },
  };
}

function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}
