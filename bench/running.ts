/**
 * What the bench has started: edges, browsers and commands. Each runs in a process group of its own. If the bench is interrupted, all of them
 * are stopped before it ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type EdgeProcess, startEdge as start } from "../test/support/edge.ts";
import type { Killable } from "../test/support/engines/group.ts";

/** Each stops one of them. It may be called twice. */
const stops = new Set<() => Promise<unknown>>();
/** Each removes files, when nothing runs any more that has them open. */
const removals = new Set<() => Promise<unknown>>();
const edges = new Set<EdgeProcess>();
let isStopping = false;

/** Something that has begun to start must be known at once: a signal can come while it starts. */
async function known<T>(starting: Promise<T>, stop: (started: T) => Promise<unknown>): Promise<{ started: T; end: () => Promise<void> }> {
  if (isStopping) throw new Error("The bench is being stopped.");
  const stopStarted = async () => {
    const started = await starting.catch(() => undefined);
    if (started !== undefined) await stop(started);
  };
  stops.add(stopStarted);
  try {
    const started = await starting;
    return {
      started,
      end: async () => {
        await stop(started);
        stops.delete(stopStarted);
      },
    };
  } catch (error) {
    stops.delete(stopStarted);
    throw error;
  }
}

/** As `startEdge` of the tests, for an edge that a signal stops. */
export async function startEdge(vars?: Readonly<Record<string, string>>, worker?: string): Promise<EdgeProcess> {
  const { started, end } = await known(start(vars, worker), (edge) => edge.stop());
  edges.add(started);
  return {
    ...started,
    stop: async () => {
      edges.delete(started);
      await end();
    },
  };
}

/** A browser that a signal stops. */
export async function keepBrowser(starting: Promise<Killable>): Promise<Killable> {
  const { end } = await known(starting, (browser) => browser.kill());
  return { kill: end };
}

/** @returns what removes files, and does so too if a signal comes first */
export function keepFiles(remove: () => Promise<unknown>): () => Promise<void> {
  removals.add(remove);
  return async () => {
    await remove();
    removals.delete(remove);
  };
}

export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command of Node's to its end. @throws if it fails, with what it printed */
export async function runNode(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const printed = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    printed.stderr += text;
  });
  const { end } = await known(Promise.resolve(child), killGroup);
  const [code] = await once(child, "close");
  await end();
  if (code !== 0) throw new Error(`${args.join(" ")} failed:\n${printed.stdout}${printed.stderr}`);
  return printed;
}

async function killGroup({ pid, exitCode, signalCode }: ChildProcess): Promise<void> {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // the group is gone already
  }
}

/** From now on, a signal stops all before it ends the bench. */
export function stopAllOnSignal(): void {
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ] as const) {
    process.on(signal, () => {
      if (isStopping) return;
      isStopping = true;
      // What fails from now on fails because its edge or its browser is gone.
      process.on("uncaughtException", () => undefined);
      console.error(`\n${signal}: stopping what the bench has started …`);
      void stopAll().finally(() => process.exit(128 + number));
    });
  }
}

/** Whether a signal has come. What then fails, fails because of that. */
export function isBeingStopped(): boolean {
  return isStopping;
}

async function stopAll(): Promise<void> {
  await Promise.allSettled([...stops].map((stop) => stop()));
  // An edge that was being restarted may have come up behind its stop.
  await new Promise((resolve) => setTimeout(resolve, 500));
  await Promise.allSettled([...edges].filter((edge) => edge.group() !== undefined).map((edge) => edge.stop()));
  await Promise.allSettled([...removals].map((remove) => remove()));
}
