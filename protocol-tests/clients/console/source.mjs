// Whether the console's modules pass the type checker and the linter. Ends with what they say, if they say anything.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));
const source = here("../../../src/admin/console");

function run(script, ...options) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [here(`../node_modules/${script}`), ...options], { cwd: source, encoding: "utf8" });
  if (status !== 0) throw new Error(`${script} ended with ${status}:\n${stdout}${stderr}`);
}

run("typescript/bin/tsc", "--project", source);
run("eslint/bin/eslint.js", "--config", here("eslint.config.mjs"), "--max-warnings", "0", ".");
