/**
 * A real edge, on workerd, in a process group of its own, with its own loopback port and state. It can be killed and started again. Tests of whole
 * browsers, and of Workers of one's own, have it from `wrangler dev`; the others from workerd alone, which starts in a tenth of the time.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WORKERD, workerdArgs } from "./workerd.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const WRANGLER = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
/** The edge alone, for `wrangler dev`. */
export const EDGE_ALONE = "test/support/wrangler.toml";
const START_TIMEOUT = 60_000;
/** What workerd writes to descriptor 3, and what `wrangler dev` prints, when it listens. */
const READY = '"event":"listen"';
const DEV_READY = "Ready on";
const MOST_TRIES = 5;
/** Milliseconds for one answer. An edge that hundreds of clients come back to at once takes seconds for it on a slow machine. */
const PATIENCE = 10_000;

export interface EdgeProcess {
  /** E.g. `http://127.0.0.1:43211`; the same after a restart. */
  readonly url: string;
  /** The folder that it keeps its state in. */
  readonly state: string;
  /** The process group that it runs in; undefined while it does not. */
  group(): number | undefined;
  /** SIGKILL for the whole process group, workerd included. */
  kill(): Promise<void>;
  /** SIGTERM, which lets workerd close its databases: their journals go with it. */
  end(): Promise<void>;
  /** Starts it again on the same port and state; with other settings, where they are given. */
  start(vars?: Readonly<Record<string, string>>): Promise<void>;
  /** Ends it and removes its state. */
  stop(): Promise<void>;
}

/** @param worker the main file of a Worker, or a configuration for `wrangler dev`, relative to the project; default: the edge alone */
export async function startEdge(
  vars: Readonly<Record<string, string>> = { AUTH: "open" },
  worker = "worker/main.ts",
): Promise<EdgeProcess> {
  const state = await mkdtemp(join(tmpdir(), "headwater-edge-"));
  let port = await freePort();
  const urlNow = () => `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;

  async function start(given = vars): Promise<void> {
    const isDev = worker.endsWith(".toml");
    const [command, args] = isDev
      ? [process.execPath, devArgs(worker, port, state, given)]
      : [WORKERD, await workerdArgs(join(ROOT, worker), port, state, given)];
    child = spawn(command, args, {
      cwd: ROOT,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", isDev ? "ignore" : "pipe"],
      env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false" },
    });
    await untilListening(child, urlNow(), isDev ? DEV_READY : READY);
  }

  /** The first time, another port will do. */
  async function startAnywhere(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await start();
      } catch (error) {
        if (tries === MOST_TRIES || !/Address already in use/i.test(String(error))) throw error;
        port = await freePort();
      }
    }
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running?.pid === undefined) return;
    const ended = exitOf(running);
    try {
      process.kill(-running.pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // the group is gone already
    }
    await ended;
    while (await answers(urlNow())) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async function end(): Promise<void> {
    const ended = child && exitOf(child);
    if (child?.pid !== undefined && ended !== undefined) process.kill(-child.pid, "SIGTERM");
    await ended;
    await kill();
  }

  await startAnywhere();
  return {
    url: urlNow(),
    state,
    group: () => child?.pid,
    kill,
    end,
    start,
    stop: async () => {
      await kill();
      await rm(state, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

/** Undefined if it has ended. */
function exitOf(child: ChildProcess): Promise<unknown> | undefined {
  return child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
}

/**
 * Resolves when the edge of this process answers.
 *
 * @param sign what it writes when it listens: another edge may have taken the port meanwhile, and would answer
 */
export async function untilListening(child: ChildProcess, url: string, sign = DEV_READY): Promise<void> {
  let output = "";
  for (const stream of child.stdio.slice(1)) {
    stream?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const deadline = Date.now() + START_TIMEOUT;
  while (!output.includes(sign) || !(await answers(url))) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`the edge did not start:\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function devArgs(config: string, port: number, state: string, vars: Readonly<Record<string, string>>): readonly string[] {
  const settings = Object.entries(vars).flatMap(([name, value]) => ["--var", `${name}:${value}`]);
  const address = ["--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0"];
  return [WRANGLER, "dev", "--config", config, ...address, "--persist-to", state, "--show-interactive-dev-session=false", ...settings];
}

/** Whether an edge answers there. */
export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(PATIENCE) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // not listening yet, or not any more
  }
}

/** Ports below those that Linux gives to connections. While a killed edge is away, no connection of another test can take its port. */
const PORTS = { first: 10_000, count: 20_000 };

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") continue;
      throw error;
    }
    server.close();
    await once(server, "close");
    return port;
  }
  throw new Error("no free port");
}
