/** A deployment, up to the step that needs an account. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

test("the checkout deploys: it builds, binds its objects and its files, and leaves access to whoever deploys", async () => {
  const folder = await mkdtemp(join(tmpdir(), "headwater-deploy-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const args = ["node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run", "--outdir", folder];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false" },
  });
  expect(stdout).toMatch(/env\.STREAMS \(StreamObject\)/);
  expect(stdout).toMatch(/env\.LOGS \(LogObject\)/);
  expect(stdout).toContain("--dry-run: exiting now.");
  expect(stdout).not.toContain("env.AUTH");
  expect(await readdir(folder)).toContain("main.js");
});
