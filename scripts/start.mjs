/** `npm start`: builds the demo and serves it with the edge, open to everyone on this machine. What follows `--` goes to `wrangler dev`. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { buildDemo } from "../demo/build.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
await buildDemo();

const given = process.argv.slice(2);
const isGiven = (option) => given.some((argument) => argument === option || argument.startsWith(`${option}=`));
/** What is not given otherwise: wrangler takes an option once. */
const preset = Object.entries({ "--ip": "127.0.0.1", "--port": "8787", "--inspector-port": "0" }).flatMap(([option, value]) =>
  isGiven(option) ? [] : [option, value],
);
// wrangler prints a line for each request by itself.
const settings = Object.entries({ AUTH: "open", LOG: "faults" }).flatMap(([name, value]) =>
  given.some((argument) => argument.replace("--var=", "").startsWith(`${name}:`)) ? [] : ["--var", `${name}:${value}`],
);
const wrangler = spawn(process.execPath, ["node_modules/wrangler/bin/wrangler.js", "dev", ...preset, ...settings, ...given], {
  // A group of its own, so that workerd ends with it.
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
    if (error.code !== "ESRCH") throw error; // it has ended by itself
  }
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => end(signal));
// npm, ended by a signal, ends its shell and leaves this process to itself.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) end("SIGTERM");
}, 500).unref();
wrangler.on("exit", (code, signal) => {
  end("SIGTERM");
  process.exitCode = signal === null ? (code ?? 1) : 0;
});
