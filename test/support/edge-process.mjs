/**
 * The Worker on workerd, in a process of its own: as `wrangler dev` runs it, without what `wrangler dev` does around it, which takes longer than
 * most tests. Its one argument is JSON: `{ port, state, vars, main }`. What `main`, a path, exports with a name that ends in `Object` is bound.
 */
import { join } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

const { port, state, vars, main } = JSON.parse(process.argv[2]);
const BINDINGS = { StreamObject: "STREAMS", LogObject: "LOGS", SubscriptionObject: "SUBSCRIPTIONS" };
const { outputFiles, metafile } = await build({
  entryPoints: [main],
  outfile: "edge.mjs",
  metafile: true,
  bundle: true,
  write: false,
  format: "esm",
  target: "es2024",
  external: ["cloudflare:workers"],
  conditions: ["workerd", "worker", "browser"],
});
const [{ exports: names }] = Object.values(metafile.outputs);
const objects = names.filter((name) => name in BINDINGS).map((className) => [BINDINGS[className], { className, useSQLite: true }]);
const edge = new Miniflare(
  convertV4MiniflareOptions({
    host: "127.0.0.1",
    port,
    name: "edge",
    modules: [{ type: "ESModule", path: "edge.mjs", contents: outputFiles[0].text }],
    compatibilityDate: "2026-11-02",
    bindings: { LOG: "faults", ...vars },
    durableObjects: Object.fromEntries(objects),
    resourcePersistencePath: join(state, "v3"),
    telemetry: { enabled: false },
  }),
);
await edge.ready;
