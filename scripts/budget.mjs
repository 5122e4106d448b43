/**
 * Bundles an app's import from an entry for a browser, with everything that it needs. Fails if it is larger than its budget in
 * package.json: `bytes` of the first chunk, and `withLater` of all chunks together.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";

const { budget } = JSON.parse(readFileSync("package.json", "utf8"));

for (const [entry, { imports, bytes: most, withLater }] of Object.entries(budget)) {
  // As Vite bundles an app: chunks that are loaded later import from the first chunk the code that it already has.
  const app = { name: "app", resolveId: (id) => (id === "app" ? id : null), load: (id) => (id === "app" ? appOf(entry, imports) : null) };
  const bundle = await rolldown({ input: "app", plugins: [app], platform: "browser", preserveEntrySignatures: "allow-extension" });
  const { output } = await bundle.generate({ format: "esm", minify: true, comments: false });
  const chunks = new Map(output.flatMap((chunk) => (chunk.type === "chunk" ? [[chunk.fileName, chunk]] : [])));
  const sizeOf = (names) => [...names].reduce((sum, name) => sum + gzipSync(chunks.get(name).code, { level: 9 }).length, 0);
  const first = [...chunks.values()].find((chunk) => chunk.isEntry);
  const atOnce = reachable(chunks, first.fileName, (chunk) => chunk.imports);
  const later = reachable(chunks, first.fileName, (chunk) => [...chunk.imports, ...chunk.dynamicImports]).difference(atOnce);
  const bytes = sizeOf(atOnce);
  const all = bytes + sizeOf(later);
  const rest = later.size === 0 ? "" : `; ${all} of ${withLater} bytes together with the chunks that are loaded later`;
  console.log(`${imports} of ${entry}: ${bytes} of ${most} bytes, minified and gzipped${rest}`);
  if (bytes > most || all > withLater) process.exitCode = 1;
}

function appOf(entry, imports) {
  return `export { ${imports} } from ${JSON.stringify(resolve(entry))};`;
}

/** The names of the chunks that a chunk imports, directly or through others, and its own. */
function reachable(chunks, name, next, seen = new Set()) {
  if (!chunks.has(name) || seen.has(name)) return seen;
  seen.add(name);
  for (const other of next(chunks.get(name))) reachable(chunks, other, next, seen);
  return seen;
}
