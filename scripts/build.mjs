/**
 * Builds the demo, and `dist/` as it is published: a module for each entry, chunks with the code that entries share, one entry as a single
 * file, and declarations.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { buildDemo } from "../demo/build.mjs";
import { ENTRIES, SINGLE } from "./entries.mjs";
import { TARGET } from "./targets.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { dependencies, peerDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
const external = [...Object.keys({ ...dependencies, ...peerDependencies }), "cloudflare:*", "node:*"];

rmSync("dist", { recursive: true, force: true });
const options = { outdir: "dist", outbase: ".", bundle: true, format: "esm", target: TARGET, sourcemap: true };
await build({
  ...options,
  entryPoints: ENTRIES.filter((entry) => entry !== SINGLE),
  splitting: true,
  chunkNames: "chunks/[hash]",
  external,
  // The app's bundler replaces it: esbuild would do it here.
  define: { "process.env.NODE_ENV": "process.env.NODE_ENV" },
});
// No bundler of an app's will make it smaller.
const { metafile } = await build({ ...options, entryPoints: [SINGLE], minify: true, metafile: true });
writeFileSync("dist/client/single.licenses.txt", licensesOf(metafile));
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

/** The licenses of the packages whose code a file has. */
function licensesOf({ inputs }) {
  const folders = new Set(Object.keys(inputs).flatMap((path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []));
  const licenses = [...folders].sort().map((folder) => {
    const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
    return `${folder.replace("node_modules/", "")}\n\n${readFileSync(`${folder}/${file}`, "utf8").trim()}\n`;
  });
  return licenses.join("\n---\n\n");
}
