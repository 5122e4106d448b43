/**
 * SQLite as WebAssembly on the origin private file system, in a worker, by the file system that needs no special headers (opfs-sahpool).
 * Its files belong to one connection at a time, so one worker has all databases.
 */
import type { Contender } from "../page/contender.ts";
import type { SqliteAnswer, SqliteCalls, SqliteRequest } from "./sqlite-calls.ts";

class SqliteWorker {
  readonly #worker = new Worker("/sqlite-worker.js", { type: "module" });
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #last = 0;

  constructor() {
    this.#worker.addEventListener("message", ({ data }: MessageEvent<SqliteAnswer>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("error" in data) waiting?.reject(new Error(data.error));
      else waiting?.resolve(data.result);
    });
    this.#worker.addEventListener("error", ({ message }) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`SQLite's worker: ${message}`));
    });
  }

  call<Name extends keyof SqliteCalls>(name: Name, ...args: Parameters<SqliteCalls[Name]>): Promise<ReturnType<SqliteCalls[Name]>> {
    const id = ++this.#last;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    const request: SqliteRequest = { id, name, args };
    this.#worker.postMessage(request);
    return waiting.promise as Promise<ReturnType<SqliteCalls[Name]>>;
  }
}

const PAGE = 1_000;

let worker: SqliteWorker | undefined;
const call: SqliteWorker["call"] = (...given) => {
  worker ??= new SqliteWorker();
  return worker.call(...given);
};

export const SQLITE: Contender = {
  name: "SQLite-WASM on OPFS",
  open: async (database) => {
    await call("open", database);
    return {
      append: (event) => call("add", database, [event]),
      commit: (events) => call("add", database, events),
      importAll: (events) => call("add", database, events),
      readStream: async (streamId) => (await call("readStream", database, streamId)).length,
      replay: async () => {
        let count = 0;
        for (let after = 0; ; ) {
          const page = await call("readPage", database, after, PAGE);
          count += page.length;
          if (page.length < PAGE) return count;
          after = page.at(-1)?.position ?? after;
        }
      },
      // The browser counts a megabyte for each file that the pool keeps, also for an empty one.
      size: () => call("size", database),
      close: () => call("close", database),
    };
  },
  remove: (database) => call("remove", database),
};
