/**
 * Serves the bench's page, and has its jobs done there. The page requests a job, does it, and posts what came of it; so it needs no driver,
 * and any browser that shows the page will do.
 */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { basename } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { build } from "esbuild";
import type { Jobs } from "../page/jobs.ts";

/** A job that takes longer than this hangs, or is too slow to be measured: minutes. */
const LONGEST_JOB = 60;
/** A page that did not ask for a job by then was not loaded, or has failed: seconds. */
const LONGEST_LOADING = 180;

const PEERS = "bench/peers";
const WASM = `${PEERS}/node_modules/@sqlite.org/sqlite-wasm/dist/sqlite3.wasm`;

export interface PageSource {
  /** What is served, by its path. */
  readonly files: ReadonlyMap<string, { readonly type: string; readonly body: string | Buffer }>;
  readonly hasPeers: boolean;
}

/** Whether `npm ci --prefix bench/peers` was run. */
export function arePeersInstalled(): boolean {
  return existsSync(WASM);
}

/** The page with the peers, if they are installed. */
export async function bundlePage(): Promise<PageSource> {
  const hasPeers = arePeersInstalled();
  const { outputFiles } = await build({
    entryPoints: hasPeers
      ? { page: `${PEERS}/page.ts`, "sqlite-worker": `${PEERS}/sqlite-worker.ts` }
      : { page: "bench/page/without-peers.ts" },
    bundle: true,
    splitting: true,
    minify: true,
    outdir: "out",
    format: "esm",
    platform: "browser",
    target: "es2022",
    define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
    logLevel: "error",
    write: false,
  });
  const script = (body: string | Buffer) => ({ type: "text/javascript", body });
  const files = new Map<string, { type: string; body: string | Buffer }>(
    outputFiles.map((file) => [`/${basename(file.path)}`, script(file.text)]),
  );
  if (hasPeers) files.set("/sqlite3.wasm", { type: "application/wasm", body: await readFile(WASM) });
  for (const name of ["permits", "tickets"]) {
    const body = (await promisify(gunzip)(await readFile(dataFile(name)))).toString();
    files.set(`/${name}.ndjson`, { type: "application/x-ndjson", body });
  }
  return { files, hasPeers };
}

export function dataFile(name: string): string {
  return `test/data/${name}.ndjson.gz`;
}

const PAGE =
  '<!doctype html><meta charset="utf-8"><title>bench</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>';

type Posted = { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: string };

/** An origin with the page. What the page stores belongs to it alone. */
export class BenchOrigin {
  readonly url: string;
  readonly #server: ReturnType<typeof createServer>;
  readonly #source: PageSource;
  readonly #jobs: { readonly text: string; readonly onTaken: () => void }[] = [];
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #idle: ServerResponse | undefined;
  #last = 0;

  private constructor(server: ReturnType<typeof createServer>, source: PageSource) {
    this.#server = server;
    this.#source = source;
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    this.url = `http://127.0.0.1:${address.port}/`;
    server.on("request", (request, response) => {
      this.#answer(request, response).catch((error: Error) => response.destroy(error));
    });
  }

  static async start(source: PageSource): Promise<BenchOrigin> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new BenchOrigin(server, source);
  }

  /** Has a job done by the page, which may still have to be loaded. @throws what the job threw, and if it takes too long */
  async call<Name extends keyof Jobs>(job: Name, ...args: Parameters<Jobs[Name]>): Promise<Awaited<ReturnType<Jobs[Name]>>> {
    const id = ++this.#last;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    const within = (milliseconds: number, why: string) => setTimeout(() => waiting.reject(new Error(why)), milliseconds);
    let timer = within(LONGEST_LOADING * 1000, "The page does not ask for a job.");
    const onTaken = () => {
      clearTimeout(timer);
      timer = within(LONGEST_JOB * 60_000, `It took more than ${LONGEST_JOB} minutes.`);
    };
    this.#jobs.push({ text: JSON.stringify({ id, job, args }), onTaken });
    this.#send();
    try {
      return (await waiting.promise) as Awaited<ReturnType<Jobs[Name]>>;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = "" } = request;
    response.setHeader("cache-control", "no-store");
    if (method === "POST" && url === "/next") {
      // Only one page is shown: whoever asked before is gone.
      this.#idle = response;
      response.on("close", () => {
        if (this.#idle === response) this.#idle = undefined;
      });
      return this.#send();
    }
    if (method === "POST" && url === "/done") {
      const posted: Posted = JSON.parse(await text(request));
      const waiting = this.#waiting.get(posted.id);
      if ("error" in posted) waiting?.reject(new Error(posted.error));
      else waiting?.resolve(posted.result);
      response.end();
      return;
    }
    const { type, body } = this.#source.files.get(url) ?? { type: "text/html", body: PAGE };
    response.writeHead(200, { "content-type": type.startsWith("text/") ? `${type}; charset=utf-8` : type }).end(body);
  }

  #send(): void {
    const page = this.#idle;
    if (page === undefined) return;
    const job = this.#jobs.shift();
    if (job === undefined) return;
    this.#idle = undefined;
    job.onTaken();
    page.writeHead(200, { "content-type": "application/json" }).end(job.text);
  }
}
