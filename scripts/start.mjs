/** `npm start`: builds the demo and serves it with the edge, open to all on this machine. Arguments after `--` go to `wrangler dev`. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { buildDemo } from "../demo/build.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
await buildDemo();

const given = process.argv.slice(2);
const isGiven = (option) => given.some((argument) => argument === option || argument.startsWith(`${option}=`));
/** Options that were not given: wrangler accepts each option only once. */
const preset = Object.entries({ "--ip": "127.0.0.1", "--port": "8787", "--inspector-port": "0" }).flatMap(([option, value]) =>
  isGiven(option) ? [] : [option, value],
);
// `faults`, because wrangler already prints a line for each request.
const settings = Object.entries({ AUTH: "open", LOG: "faults" }).flatMap(([name, value]) =>
  given.some((argument) => argument.replace("--var=", "").startsWith(`${name}:`)) ? [] : ["--var", `${name}:${value}`],
);
const wrangler = spawn(process.execPath, ["node_modules/wrangler/bin/wrangler.js", "dev", ...preset, ...settings, ...given], {
  // A process group of its own, so that workerd ends together with wrangler.
  detached: true,
  stdio: ["ignore", "inherit", "inherit"],
  env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
});

let ending = false;
function end(signal) {
  if (ending) return;
  ending = true;
  try {
    process.kill(-wrangler.pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error; // ESRCH: it has ended already
  }
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => end(signal));
// If a signal ends npm, npm ends its shell and leaves this process running without a parent.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) end("SIGTERM");
}, 500).unref();
wrangler.on("exit", (code, signal) => {
  end("SIGTERM");
  process.exitCode = signal === null ? (code ?? 1) : 0;
});
