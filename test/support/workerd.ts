/**
 * The Worker on workerd alone, without the Node process that `wrangler dev` is: it starts in a quarter of a second. What it keeps lies where
 * `wrangler dev` would keep it, in `v3/do` of the folder for state.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { build } from "esbuild";
import { WORKER_BUNDLE } from "./worker-bundle.ts";

/** The path of its program. The package has no types. */
export const WORKERD: string = createRequire(import.meta.url)("workerd").default;

const COMPATIBILITY_DATE = "2026-11-02";
/** The binding for each of the edge's objects that a Worker may export. */
const BINDINGS: Readonly<Record<string, string>> = { StreamObject: "STREAMS", LogObject: "LOGS", SubscriptionObject: "SUBSCRIPTIONS" };

interface Bundle {
  readonly code: string;
  readonly classes: readonly string[];
}

const bundles = new Map<string, Promise<Bundle>>();

async function bundle(main: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({ ...WORKER_BUNDLE, entryPoints: [main], outfile: "edge.mjs", metafile: true });
  const [output] = Object.values(metafile.outputs);
  return { code: outputFiles[0]?.text ?? "", classes: (output?.exports ?? []).filter((name) => name in BINDINGS) };
}

/**
 * @param main the path of the Worker's main file
 * @param state the folder that it keeps its state in; the configuration is written there, too
 * @returns arguments for workerd, which tells on descriptor 3 when it listens
 */
export async function workerdArgs(
  main: string,
  port: number,
  state: string,
  vars: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  if (!bundles.has(main)) bundles.set(main, bundle(main));
  const { code, classes } = (await bundles.get(main)) as Bundle;
  const objects = join(state, "v3", "do");
  await mkdir(objects, { recursive: true });
  const config = join(state, "edge.capnp");
  await writeFile(join(state, "edge.mjs"), code);
  await writeFile(config, configuration(classes, objects, { LOG: "faults", ...vars }));
  return ["serve", config, "--control-fd=3", `--socket-addr=http=127.0.0.1:${port}`];
}

/** In the text format of Cap'n Proto, whose strings are written like those of JSON. */
function configuration(classes: readonly string[], objects: string, vars: Readonly<Record<string, string>>): string {
  const text = JSON.stringify;
  const namespaces = classes.map((name) => `(className = ${text(name)}, uniqueKey = ${text(`edge-${name}`)}, enableSql = true)`);
  const bindings = [
    ...Object.entries(vars).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ...classes.map((name) => `(name = ${text(BINDINGS[name])}, durableObjectNamespace = ${text(name)})`),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = (
      modules = [(name = "edge.mjs", esModule = embed "edge.mjs")],
      compatibilityDate = ${text(COMPATIBILITY_DATE)},
      bindings = [${bindings.join(", ")}],
      durableObjectNamespaces = [${namespaces.join(", ")}],
      durableObjectStorage = (localDisk = "objects"),
    )),
    (name = "objects", disk = (path = ${text(objects)}, writable = true)),
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", http = (), service = "edge")],
);
`;
}
