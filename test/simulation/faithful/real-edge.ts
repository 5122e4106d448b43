/** The Worker as it ships, on workerd, in this process's care: it can be restarted, and the files of a store can be put back. */
import { cp, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare, type Miniflare as Runtime } from "miniflare";
import { WORKER_BUNDLE } from "../../support/worker-bundle.ts";
import { BODY_BYTES, EVENT_BYTES } from "../poison.ts";
import { SECRET } from "../token.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/**
 * The Worker, with the limits of worlds. As in worlds, a stream's object fails at a commit that is poisoned so. `/ids` answers with the names
 * of the files in which objects are stored, `/known` with the streams that were called, and `/wake` reads such streams.
 */
const WORKER = `
  import { createEdge } from "./worker/index.ts";
  import { poisonOf } from "./test/simulation/poison.ts";
  const edge = createEdge({ limits: { eventBytes: ${EVENT_BYTES}, bodyBytes: ${BODY_BYTES}, pushCommits: TOO_MANY } });
  export const { LogObject, StreamObject } = edge;
  const append = (stub) => async (name, commits, ...others) => {
    if (commits.some(({ events }) => poisonOf(events) === "fails")) throw new Error("The object died of this commit.");
    return stub.append(name, commits, ...others);
  };
  const poisonable = (stub) => ({ append: append(stub), read: (...given) => stub.read(...given) });
  const known = new Set();
  const read = (env, name) => env.STREAMS.getByName(name).read(name, { from: 1, limit: 1, direction: "forwards" });
  const tools = {
    "/ids": (env, names) => names.map(([binding, name]) => String(env[binding].idFromName(name))),
    "/known": () => [...known],
    "/wake": (env, names) => Promise.all(names.map(async (name) => {
      await read(env, name);
      // What it does when it wakes is over by then.
      await read(env, name);
    })),
  };
  export default {
    async fetch(request, env, context) {
      const tool = tools[new URL(request.url).pathname];
      if (tool !== undefined) return Response.json(await tool(env, await request.json()));
      const STREAMS = {
        getByName(name) {
          known.add(name);
          return poisonable(env.STREAMS.getByName(name));
        },
      };
      return edge.fetch(request, { ...env, STREAMS }, context);
    },
  };
`;

export type RealResponse = Awaited<ReturnType<Runtime["dispatchFetch"]>>;

export class RealEdge {
  readonly #script: string;
  /** With its state, and the copies of stores. */
  readonly #folder: string;
  /** As `store/streamId`. */
  readonly #streams = new Set<string>();
  #runtime: Runtime;

  private constructor(script: string, folder: string) {
    this.#script = script;
    this.#folder = folder;
    this.#runtime = this.#start();
  }

  static async start(tooMany: number): Promise<RealEdge> {
    const [script, folder] = await Promise.all([bundle(tooMany), mkdtemp(join(tmpdir(), "headwater-faithful-"))]);
    return new RealEdge(script, folder);
  }

  #start(): Runtime {
    const options = convertV4MiniflareOptions({
      name: "edge",
      modules: [{ type: "ESModule", path: "edge.mjs", contents: this.#script }],
      compatibilityDate: "2026-11-02",
      bindings: { AUTH: "jwt", JWT_SECRET: SECRET, LOG: "faults" },
      durableObjects: { STREAMS: objects("StreamObject"), LOGS: objects("LogObject") },
      resourcePersistencePath: join(this.#folder, "state"),
      // Its lines are about what worlds do wrong on purpose.
      handleStructuredLogs: () => undefined,
      telemetry: { enabled: false },
    });
    return new Miniflare(options);
  }

  fetch(
    url: string,
    init: { readonly method: string; readonly headers: Record<string, string>; readonly body?: string },
  ): Promise<RealResponse> {
    return this.#runtime.dispatchFetch(url, init);
  }

  async #tool(name: string, given: readonly unknown[]): Promise<readonly string[]> {
    const response = await this.fetch(`http://edge/${name}`, { method: "POST", headers: {}, body: JSON.stringify(given) });
    return (await response.json()) as readonly string[]; // as the Worker above answers
  }

  async #files(store: string, streamIds: readonly string[]): Promise<readonly { readonly folder: string; readonly file: string }[]> {
    const names = [["LOGS", store], ...streamIds.map((streamId) => ["STREAMS", `${store}/${streamId}`])];
    const ids = await this.#tool("ids", names);
    const state = join(this.#folder, "state");
    const all = await readdir(state, { recursive: true, withFileTypes: true });
    return all
      .filter((entry) => entry.isFile() && ids.some((id) => entry.name.startsWith(`${id}.`)))
      .map(({ parentPath, name }) => ({ folder: parentPath.slice(state.length), file: name }));
  }

  /** Keeps a copy of what a store has on disk. */
  async copy(number: number, store: string, streamIds: readonly string[]): Promise<void> {
    // A store that nobody has used yet has no files.
    await mkdir(join(this.#folder, "copies", String(number)), { recursive: true });
    for (const { folder, file } of await this.#files(store, streamIds)) {
      const target = join(this.#folder, "copies", String(number), folder);
      await mkdir(target, { recursive: true });
      if (!file.endsWith("-shm")) await cp(join(this.#folder, "state", folder, file), join(target, file));
    }
  }

  /**
   * Kills it, puts a copy into a store's place, or nothing, and starts it again. A recording is played faster than it was made, so streams
   * still wait for alarms here that the world's had long before. Then a stream publishes by itself when it wakes, so all are woken at once.
   */
  async replace(copy: number | undefined, store: string, streamIds: readonly string[]): Promise<void> {
    const files = await this.#files(store, streamIds);
    for (const name of await this.#tool("known", [])) this.#streams.add(name);
    await this.#runtime.dispose();
    const state = join(this.#folder, "state");
    for (const { folder, file } of files) await rm(join(state, folder, file), { force: true });
    if (copy !== undefined) await cp(join(this.#folder, "copies", String(copy)), state, { recursive: true });
    this.#runtime = this.#start();
    await this.#tool("wake", [...this.#streams]);
  }

  async stop(): Promise<void> {
    await this.#runtime.dispose();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function objects(className: string) {
  return { className, useSQLite: true, unsafePreventEviction: true };
}

async function bundle(tooMany: number): Promise<string> {
  const { outputFiles } = await build({
    ...WORKER_BUNDLE,
    stdin: { contents: WORKER, resolveDir: ROOT, loader: "js" },
    define: { TOO_MANY: String(tooMany) },
    logLevel: "error",
  });
  const [output] = outputFiles;
  if (output === undefined) throw new Error("the Worker was not bundled");
  return output.text;
}
