/**
 * Holds what a browser loads to the baseline: each entry for browsers is built as `scripts/build.mjs` builds it, together with everything that
 * it imports, and two tools search the result for what the oldest of these browsers do not have. esbuild rewrites newer syntax; es-check
 * finds newer parts of the language's library, and eslint-plugin-compat newer interfaces of the web. What a value's type decides, e.g. `union`
 * of a Set, the compiler finds: `lib` in `client/tsconfig.json` and `shared/tsconfig.json` has nothing newer.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import esCheck from "es-check";
import { build } from "esbuild";
import { ESLint } from "eslint";
import compat from "eslint-plugin-compat";
import { BROWSERS, TARGET } from "./targets.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ENTRIES = ["client/index.ts", "client/http.ts", "client/react.ts", "client/correlation.ts", "shared/event/event-types.ts"];
/** Called only if the browser has it. */
const OPTIONAL = ["requestIdleCallback"];

/** @param folder of JavaScript files, in itself alone @returns a line for each thing that is newer than the baseline */
export async function newerThanBaseline(folder) {
  const paths = readdirSync(folder).filter((name) => name.endsWith(".js"));
  const language = esCheck.runChecks([
    {
      ecmaVersion: "checkBrowser",
      browserslistQuery: BROWSERS,
      files: paths.map((name) => join(folder, name)),
      module: true,
      checkFeatures: true,
    },
  ]);
  const eslint = new ESLint({
    cwd: folder,
    overrideConfigFile: true,
    allowInlineConfig: false,
    overrideConfig: {
      plugins: { compat },
      rules: { "compat/compat": "error" },
      settings: { browsers: [BROWSERS], polyfills: OPTIONAL, lintAllEsApis: true },
    },
  });
  const web = await Promise.all(paths.map((name) => eslint.lintText(readFileSync(join(folder, name), "utf8"), { filePath: name })));
  return [
    ...language.errors.map(({ err }) => err.message),
    ...web.flat().flatMap(({ messages }) => messages.map(({ message }) => message)),
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const outdir = mkdtempSync(join(tmpdir(), "headwater-baseline-"));
  try {
    await build({
      absWorkingDir: ROOT,
      entryPoints: ENTRIES,
      entryNames: "[name]",
      chunkNames: "[hash]",
      outdir,
      bundle: true,
      splitting: true,
      format: "esm",
      target: TARGET,
      external: ["react"],
    });
    const found = await newerThanBaseline(outdir);
    for (const line of found) console.error(line);
    console.log(`${BROWSERS}: ${TARGET.join(", ")}: ${found.length} newer things in ${readdirSync(outdir).length} built files`);
    if (found.length > 0) process.exitCode = 1;
  } finally {
    rmSync(outdir, { recursive: true });
  }
}
