/** Runs the command line as a process of its own, from one file: Node takes twice as long to read the sources. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { onTestFinished } from "vitest";

const MAIN = join(tmpdir(), `headwater-cli-${process.pid}-${crypto.randomUUID()}.mjs`);
await build({
  entryPoints: [fileURLToPath(new URL("../../cli/main.ts", import.meta.url))],
  outfile: MAIN,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node22",
  // Some of its packages are CommonJS.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
});
process.on("exit", () => rmSync(MAIN, { force: true }));

export interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @param input written to standard input, where given
 * @param settings of the environment, beside what there is
 */
export function headwater(args: readonly string[], input?: string, settings: Readonly<Record<string, string>> = {}): Promise<Finished> {
  const { JWT_SECRET: _, ...environment } = process.env;
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["pipe", "pipe", "pipe"], env: { ...environment, ...settings } });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  child.stdin.end(input ?? "");
  return new Promise((resolve) => child.on("close", (exitCode) => resolve({ exitCode, ...output })));
}

/** `headwater tail`, which ends when it is told to. */
export function startTail(args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, "tail", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => {
    text += more;
  });
  const written = (): unknown[] =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  return {
    text: () => text,
    count: () => written().length,
    last: () => written().at(-1),
    /** Waits for so many lines. */
    lines: async (count: number): Promise<unknown[]> => {
      while (written().length < count) await once(child.stdout, "data");
      return written();
    },
    end: async (signal: NodeJS.Signals): Promise<number | null> => {
      const closed = once(child, "close");
      child.kill(signal);
      const [exitCode] = await closed;
      return exitCode;
    },
  };
}
