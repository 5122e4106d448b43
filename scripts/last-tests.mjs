/**
 * The last part of `npm test`: whole browsers and edges that fail, which mostly wait, and beside them the simulation's worlds, which compute and
 * give way to everything else. What the worlds print comes when the others have ended.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const VITEST = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));

/** @type {(project: string, stdio: "inherit" | "pipe") => { output: () => string, code: Promise<number> }} */
function start(project, stdio) {
  const child = spawn(process.execPath, [VITEST, "run", "--project", project], { stdio: ["ignore", stdio, stdio] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  /** @type {Promise<number>} */
  const code = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => resolve(exitCode ?? 1));
  });
  return { output: () => output, code };
}

const worlds = start("worlds", "pipe");
const faults = start("faults", "inherit");
const codes = await Promise.all([faults.code, worlds.code]);
process.stdout.write(worlds.output());
process.exitCode = codes.some((code) => code !== 0) ? 1 : 0;
