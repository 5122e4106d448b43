/**
 * The Worker on workerd, in a process of its own: as `wrangler dev` runs it, without what `wrangler dev` does around it, which takes longer than
 * most tests. Its one argument is JSON: `{ port, state, vars }`.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

const { port, state, vars } = JSON.parse(process.argv[2]);
const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL("../../worker/main.ts", import.meta.url))],
  bundle: true,
  write: false,
  format: "esm",
  target: "es2024",
  external: ["cloudflare:workers"],
  conditions: ["workerd", "worker", "browser"],
});
const objects = (className) => ({ className, useSQLite: true });
const edge = new Miniflare(
  convertV4MiniflareOptions({
    host: "127.0.0.1",
    port,
    name: "edge",
    modules: [{ type: "ESModule", path: "edge.mjs", contents: outputFiles[0].text }],
    compatibilityDate: "2026-11-02",
    bindings: { LOG: "faults", ...vars },
    durableObjects: { STREAMS: objects("StreamObject"), LOGS: objects("LogObject") },
    resourcePersistencePath: join(state, "v3"),
    telemetry: { enabled: false },
  }),
);
await edge.ready;
