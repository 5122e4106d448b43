/** How the code knows development, as bundlers and browsers make it. */
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { build as esbuild } from "esbuild";
import { createServer, build as vite } from "vite";
import { afterEach, expect, test, vi } from "vitest";

const MODULE = fileURLToPath(new URL("../../../client/tools/development.ts", import.meta.url));
const SAYS = `import { IS_DEVELOPMENT } from ${JSON.stringify(MODULE)};\nglobalThis.said = IS_DEVELOPMENT;\n`;

afterEach(() => {
  vi.unstubAllEnvs();
});

/** Runs a script as a browser does: it has no `process`. */
function said(script: string): unknown {
  const browser: { said?: unknown } = {};
  runInNewContext(script, browser);
  return browser.said;
}

async function bundled(define: Record<string, string>, minify = false): Promise<string> {
  const stdin = { contents: SAYS, resolveDir: "/", loader: "ts" } as const;
  const { outputFiles } = await esbuild({ stdin, bundle: true, format: "iife", platform: "browser", minify, define, write: false });
  return outputFiles[0]?.text ?? "";
}

test("esbuild: development, unless it minifies or says production; without a bundler, production", async () => {
  expect(said(await bundled({}))).toBe(true);
  expect(said(await bundled({}, true))).toBe(false);
  expect(said(await bundled({ "process.env.NODE_ENV": '"production"' }))).toBe(false);
  expect(said(await bundled({ "process.env.NODE_ENV": "process.env.NODE_ENV" }))).toBe(false);
});

test("Vite: production in a build, development in its server", async () => {
  // Vite sets it, unless the environment has it, as that of the tests does.
  vi.stubEnv("NODE_ENV", undefined);
  const root = await mkdtemp(join(tmpdir(), "headwater-development-"));
  await writeFile(join(root, "says.ts"), SAYS);
  await copyFile(MODULE, join(root, "development.ts"));
  const quiet = { root, configFile: false, logLevel: "silent" } as const;
  try {
    const input = join(root, "says.ts");
    const built = await vite({ ...quiet, build: { write: false, rolldownOptions: { input, output: { format: "iife" } } } });
    const [{ output }] = [built].flat() as unknown as [{ output: [{ code: string }] }];
    expect(said(output[0].code)).toBe(false);
    vi.stubEnv("NODE_ENV", undefined);
    const server = await createServer({
      ...quiet,
      server: { middlewareMode: true, hmr: false, ws: false },
      optimizeDeps: { noDiscovery: true },
    });
    const served = await server.transformRequest("/development.ts");
    await server.close();
    expect(served?.code).toContain('"development" !== "production"');
  } finally {
    await rm(root, { recursive: true });
  }
});
