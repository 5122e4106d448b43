/** Fails when an entry, bundled for a browser with everything that it imports, is larger than its budget in package.json. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";

const { budget } = JSON.parse(readFileSync("package.json", "utf8"));

for (const [entry, most] of Object.entries(budget)) {
  // As Vite bundles an app.
  const bundle = await rolldown({ input: entry, platform: "browser" });
  const { output } = await bundle.generate({ format: "esm", minify: true, comments: false });
  const bytes = gzipSync(output[0].code, { level: 9 }).length;
  console.log(`${entry}: ${bytes} of ${most} bytes, minified and gzipped`);
  if (bytes > most) process.exitCode = 1;
}
