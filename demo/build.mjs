/** Builds the demo into `demo/dist`. The Worker serves it from there. */
import { cpSync, mkdirSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { TARGET } from "../scripts/targets.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));

export async function buildDemo() {
  mkdirSync(`${HERE}dist`, { recursive: true });
  for (const file of ["index.html", "style.css", "../test/data/permits.ndjson.gz"]) cpSync(HERE + file, `${HERE}dist/${basename(file)}`);
  await build({
    entryPoints: [`${HERE}app.ts`, `${HERE}service-worker.ts`],
    outdir: `${HERE}dist`,
    bundle: true,
    minify: true,
    format: "esm",
    target: TARGET,
    logLevel: "warning",
  });
}
