/** The source files that package.json makes public: a module for each export, and the command line. */
import { readFileSync } from "node:fs";

const { exports, bin } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

/** E.g. `client/index.ts` for `./dist/client/index.js`. */
export const ENTRIES = [...Object.values(exports).map((entry) => entry.default), ...Object.values(bin)].map((path) =>
  path.replace(/^(\.\/)?dist\//, "").replace(/\.js$/, ".ts"),
);

/** The one that is built as a single file, with everything that it imports. */
export const SINGLE = "client/single.ts";
