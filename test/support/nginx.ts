/** nginx as Debian ships it, before an edge. Its settings are those of Debian's `nginx.conf`; each test adds its servers. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNginx } from "../../scripts/nginx.mjs";
import { SELF_SIGNED } from "./certificate.ts";

export interface Nginx {
  stop(): Promise<void>;
}

const START_TIMEOUT = 10_000;

/**
 * @param servers `server { … }` blocks; `cert.pem` and `key.pem` are beside them
 * @param ports that they listen on, at 127.0.0.1
 */
export async function startNginx(servers: string, ports: readonly number[]): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), "headwater-nginx-"));
  await Promise.all([
    writeFile(join(folder, "nginx.conf"), configOf(servers)),
    writeFile(join(folder, "cert.pem"), SELF_SIGNED.cert),
    writeFile(join(folder, "key.pem"), SELF_SIGNED.key),
  ]);
  const args = ["-p", folder, "-c", "nginx.conf", "-e", "stderr"];
  const child = spawn(findNginx() ?? "nginx", args, { stdio: ["ignore", "ignore", "pipe"] });
  const output: string[] = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => output.push(text));
  const deadline = Date.now() + START_TIMEOUT;
  for (const port of ports) {
    while (!(await accepts(port))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`nginx did not start:\n${output.join("")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  return {
    stop: async () => {
      await end(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, "exit");
  // The master process ends its workers, and with them all connections.
  child.kill("SIGTERM");
  await ended;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false; // not listening yet
  } finally {
    socket.destroy();
  }
}

function configOf(servers: string): string {
  // Debian's workers are of the user www-data, who can't read a folder of somebody else's.
  const user = process.getuid?.() === 0 ? "user root;" : "";
  return `
daemon off;
${user}
worker_processes 1;
pid nginx.pid;
events { worker_connections 768; }
http {
  sendfile on;
  tcp_nopush on;
  types_hash_max_size 2048;
  default_type application/octet-stream;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_prefer_server_ciphers on;
  access_log off;
  gzip on;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
${servers}
}
`;
}
