/** The options with which scripts read the project's types. TypeScript 7 has no API for programs, so they use TypeScript 6. */
import { fileURLToPath } from "node:url";
import ts from "typescript-6";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

export const COMPILER_OPTIONS = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ["lib.es2024.d.ts", "lib.dom.d.ts", "lib.dom.asynciterable.d.ts", "lib.esnext.disposable.d.ts"],
  types: ["@cloudflare/workers-types"],
  typeRoots: [`${ROOT}node_modules`],
  skipLibCheck: true,
  noEmit: true,
};
