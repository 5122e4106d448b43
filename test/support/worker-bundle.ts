/** How tests bundle a Worker that they start on workerd themselves. */
import type { BuildOptions } from "esbuild";

export const WORKER_BUNDLE = {
  bundle: true,
  write: false,
  format: "esm",
  target: "es2024",
  external: ["cloudflare:workers"],
  conditions: ["workerd", "worker", "browser"],
} as const satisfies BuildOptions;
