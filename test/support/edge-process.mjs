/**
 * The Worker on workerd, in a process of its own: as `wrangler dev` runs it, without what `wrangler dev` does around it, which takes longer than
 * most tests. Its one argument is JSON: `{ port, state, vars, main }`. The edge's objects that `main`, a path, exports are bound.
 */
import { join } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { WORKER_BUNDLE } from "./worker-bundle.ts";

const { port, state, vars, main } = JSON.parse(process.argv[2]);
const BINDINGS = { StreamObject: "STREAMS", LogObject: "LOGS", SubscriptionObject: "SUBSCRIPTIONS" };
const { outputFiles, metafile } = await build({ ...WORKER_BUNDLE, entryPoints: [main], outfile: "edge.mjs", metafile: true });
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
