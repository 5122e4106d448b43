/** What browser tests need from the machine that they run on. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

export interface CommandResult {
  readonly exitCode: number;
  readonly output: string;
}

declare module "vitest/browser" {
  interface BrowserCommands {
    /** `headwater verify --url URL` */
    verify(url: string): Promise<CommandResult>;
  }
}

export function verify(_context: unknown, url: string): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, "verify", "--url", url], (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
    });
  });
}
