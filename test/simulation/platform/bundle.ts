/**
 * The product as a world runs it: `client/` and `worker/`, each bundled once. A bundle is a function that takes the platform's globals.
 * Each tab, and each version of the Worker, gets an instance of its own, with a memory of its own, as in a browser and at the edge.
 *
 * A deliberate bug is a patch of the source text. It is applied while the source is bundled.
 */
import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import { build, type Plugin } from "esbuild";
import { applyPatches, type Patch } from "./patches.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/**
 * The globals of a platform that the product uses. What an instance is not given of them is undefined there, except `URL`,
 * `AbortController` and `AbortSignal`, which then are Node's. All other globals, e.g. `TextEncoder` and `Response`, are Node's too.
 */
const GLOBALS = [
  "globalThis",
  "console",
  "Math",
  "Date",
  "performance",
  "crypto",
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "queueMicrotask",
  "requestIdleCallback",
  "navigator",
  "document",
  "addEventListener",
  "removeEventListener",
  "BroadcastChannel",
  "indexedDB",
  "IDBKeyRange",
  "localStorage",
  "fetch",
  "WebSocket",
  "AbortController",
  "AbortSignal",
  "URL",
] as const;

export type Globals = Partial<Record<(typeof GLOBALS)[number], unknown>>;

/** Makes an instance of a bundle. */
export type Program<Exports> = (globals: Globals) => Exports;

export type Client = typeof import("../../../client/index.ts") &
  Pick<typeof import("../../../client/http.ts"), "connectStore"> &
  Pick<typeof import("../../../client/correlation.ts"), "readCorrelation"> &
  Pick<typeof import("../../../shared/event/event-types.ts"), "defineEventTypes">;

/** `headwater/edge`, without the types that only workerd has. */
export interface Worker extends Pick<Client, "defineEventTypes"> {
  createEdge(settings: object): unknown;
  readonly HandlerError: new (message: string) => Error;
  readonly CommandRefusedError: new (message: string) => Error;
}

export interface Product {
  readonly client: Program<Client>;
  readonly worker: Program<Worker>;
}

/**
 * What is other in worlds than in the product: streams of a world are too short for a snapshot each 100 events, and for blocks of 1,024. FoundationDB
 * calls this a knob.
 */
const KNOBS: readonly Patch[] = [
  { file: "shared/decider/snapshot.ts", find: "const WORTH = 100;", replace: "const WORTH = 5;" },
  { file: "shared/edge/fingerprints.ts", find: "const BLOCK = 1024;", replace: "const BLOCK = 3;" },
  { file: "shared/edge/outline.ts", find: "const OUTLINED = 1024;", replace: "const OUTLINED = 4;" },
  { file: "worker/stream/known-ids.ts", find: "const KEPT = 1024;", replace: "const KEPT = 2;" },
  { file: "worker/stream/known-ids.ts", find: "const ROWS = 16;", replace: "const ROWS = 2;" },
];

/** @param patches of the product's source, applied after the knobs. A side of which no file is patched is the same program as without them */
export async function bundleProduct(patches: readonly Patch[] = []): Promise<Product> {
  const [client, worker] = await Promise.all([patched(soundClient(), patches), patched(soundWorker(), patches)]);
  return { client: client.program, worker: worker.program };
}

interface Bundle<Exports> {
  readonly name: string;
  readonly entry: string;
  /** From the root of the repository. */
  readonly files: ReadonlySet<string>;
  readonly program: Program<Exports>;
}

const soundClient = once(() => bundle<Client>("client", CLIENT, KNOBS));
const soundWorker = once(() => bundle<Worker>("worker", WORKER, KNOBS));

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

async function patched<Exports>(bundled: Promise<Bundle<Exports>>, patches: readonly Patch[]): Promise<Bundle<Exports>> {
  const sound = await bundled;
  const isPatched = patches.some(({ file }) => sound.files.has(file));
  return isPatched ? bundle<Exports>(sound.name, sound.entry, [...KNOBS, ...patches]) : sound;
}

/** What a tab, or a script, has of the product; and what a Worker has. */
const TYPES = 'export { defineEventTypes } from "./shared/event/event-types.ts";';
const CLIENT = `export * from "./client/index.ts"; export { connectStore } from "./client/http.ts";
  export { readCorrelation } from "./client/correlation.ts"; ${TYPES}`;
const WORKER = `export * from "./worker/index.ts"; ${TYPES}`;

async function bundle<Exports>(name: string, entry: string, patches: readonly Patch[]): Promise<Bundle<Exports>> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: entry, resolveDir: ROOT },
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    format: "cjs",
    // As it is shipped.
    define: { "process.env.NODE_ENV": '"production"' },
    platform: "browser",
    target: "node24",
    // A deliberate bug is to be caught, and nobody looks for its place.
    sourcemap: patches === KNOBS ? "inline" : false,
    metafile: true,
    logLevel: "error",
    plugins: [sources(patches)],
  });
  const [output] = outputFiles;
  if (output === undefined) throw new Error(`the ${name} was not bundled`);
  const run = compileFunction(output.text, ["module", ...GLOBALS], { filename: `${name}.bundle.js` });
  const program: Program<Exports> = (globals) => {
    const module: { exports: unknown } = { exports: {} };
    const own: Record<string, unknown> = { URL, AbortController, AbortSignal, ...globals };
    run(module, ...GLOBALS.map((name) => (name === "globalThis" ? globals : own[name])));
    return module.exports as Exports; // what the entry exports
  };
  return { name, entry, files: new Set(Object.keys(metafile.inputs)), program };
}

/** The product's source, with its patches. */
function sources(patches: readonly Patch[]): Plugin {
  return {
    name: "product",
    setup({ onLoad }) {
      onLoad({ filter: /\/(client|worker|shared)\/.*\.ts$/ }, async ({ path }) => {
        const file = relative(ROOT, path);
        const source = applyPatches(file, await readFile(path, "utf8"), patches);
        return { contents: file === PLATFORM.file ? applyPatches(file, source, [PLATFORM]) : source, loader: "ts" };
      });
    },
  };
}

/** There is no workerd here, and a bundle that is a function can't wait for it. */
const PLATFORM: Patch = {
  file: "worker/objects/platform.ts",
  find: 'await import("cloudflare:workers").catch(() => undefined)',
  replace: "undefined",
};
