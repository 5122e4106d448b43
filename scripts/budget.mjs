/** Fails when an entry, bundled for a browser with everything that it imports, is larger than its budget in package.json. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const { budget } = JSON.parse(readFileSync("package.json", "utf8"));

for (const [entry, most] of Object.entries(budget)) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
  });
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${entry}: ${bytes} of ${most} bytes, minified and gzipped`);
  if (bytes > most) process.exitCode = 1;
}
