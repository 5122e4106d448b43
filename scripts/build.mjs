/** Builds the demo, and `dist/` as it is published: a module for each entry, chunks with the code that entries share, and declarations. */
import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { buildDemo } from "../demo/build.mjs";
import { ENTRIES } from "./entries.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { dependencies, peerDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
const external = [...Object.keys({ ...dependencies, ...peerDependencies }), "cloudflare:*", "node:*"];

rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: ENTRIES,
  outdir: "dist",
  outbase: ".",
  bundle: true,
  splitting: true,
  chunkNames: "chunks/[hash]",
  format: "esm",
  target: "es2022",
  sourcemap: true,
  external,
});
chmodSync("dist/cli/main.js", 0o755);
for (const part of ["client", "worker"]) {
  const types = [
    "node_modules/typescript/bin/tsc",
    "-p",
    part,
    "--noEmit",
    "false",
    "--emitDeclarationOnly",
    "--declaration",
    "--stripInternal",
    "--rootDir",
    ".",
    "--outDir",
    "dist/types",
  ];
  execFileSync(process.execPath, types, { stdio: "inherit" });
}
await buildDemo();
