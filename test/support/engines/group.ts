/**
 * A program in a process group of its own. If the program ends, or the process of the tests ends, however that happens, the whole group is
 * killed: no browser, driver or display stays behind.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** The shell waits for its standard input to end. The system closes that with the process of the tests. */
const WATCHED = '{ "$0" "$@" </dev/null; kill -KILL 0; } & cat >/dev/null; kill -KILL 0';
const START_TIMEOUT = 30_000;

export interface Killable {
  /** SIGKILL for all of its processes, sent before this returns; resolves when none of them is left. */
  kill(): Promise<void>;
}

export class ProcessGroup implements Killable {
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;
  #output = "";

  /** @param env in addition to that of this process */
  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn("/bin/sh", ["-c", WATCHED, command, ...args], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    // All its processes hold its standard output: when that is closed, the last of them is gone, and its files are free.
    this.#gone = once(this.#child, "close");
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-10_000);
      });
    }
  }

  /** Resolves with what the program printed, as soon as it matches. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    return this.until(() => pattern.exec(this.#output));
  }

  /** Resolves with the first result that is not null. Fails if the program ends, or takes too long. */
  async until<T>(check: () => T | null | Promise<T | null>): Promise<T> {
    const deadline = Date.now() + START_TIMEOUT;
    for (;;) {
      const found = await check();
      if (found !== null) return found;
      const { exitCode, signalCode, spawnargs } = this.#child;
      if (exitCode !== null || signalCode !== null || Date.now() > deadline) {
        throw new Error(`${spawnargs.slice(3).join(" ")} did not start:\n${this.#output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async kill(): Promise<void> {
    const { pid } = this.#child;
    try {
      if (pid !== undefined) process.kill(-pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // the group is gone already
    }
    await this.#gone;
  }
}
