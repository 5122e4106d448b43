/**
 * Finds the nginx that tests put before an edge. Without it these tests don't run, and this script says so. Where the environment has `CI`, it
 * unpacks Debian's package, and fails if it can't. The package is not installed: that would start a server on port 80.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const UNPACKED = fileURLToPath(new URL("../node_modules/.cache/headwater-nginx/", import.meta.url));

/** @returns the path of an executable; undefined if there is none */
export function findNginx() {
  const candidates = [process.env.NGINX, "/usr/sbin/nginx", `${UNPACKED}usr/sbin/nginx`];
  return candidates.find((path) => path !== undefined && path !== "" && existsSync(path));
}

function unpack() {
  const run = (command, ...args) =>
    execFileSync(command, args, { cwd: UNPACKED, stdio: ["ignore", "ignore", "inherit"], timeout: 300_000 });
  console.log("Unpacking Debian's nginx …");
  mkdirSync(UNPACKED, { recursive: true });
  run("apt-get", "update", "-qq");
  run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", "nginx");
  for (const name of readdirSync(UNPACKED).filter((file) => file.endsWith(".deb"))) run("dpkg-deb", "-x", name, UNPACKED);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isRequired = (process.env.CI ?? "") !== "";
  if (isRequired && findNginx() === undefined) unpack();
  if (findNginx() === undefined) {
    console.log("nginx was not found: the tests behind it did not run. To have it: apt-get install nginx");
    if (isRequired) process.exitCode = 1;
  }
}
