/**
 * Serves a web page with one module and the chunks that it loads later, bundled in memory, always from the same origin: data that a browser
 * stores for it is there next time.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export interface PageServer {
  /** E.g. `http://127.0.0.1:43211/` */
  readonly url: string;
  close(): Promise<void>;
}

/** Answers what a page posts. A rejection closes the connection. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** @param module a TypeScript file, relative to the project */
export async function servePage(module: string, answer?: Answer): Promise<PageServer> {
  const scripts = await bundle(module);
  const server = createServer((request, response) => {
    const { method, url = "" } = request;
    if (method === "POST" && answer !== undefined) {
      answer(request, response).catch((error: Error) => response.destroy(error));
      return;
    }
    const script = scripts.get(url.slice(1));
    const [type, body] = script === undefined ? ["text/html", PAGE] : ["text/javascript", script];
    response.writeHead(200, { "content-type": `${type}; charset=utf-8`, "cache-control": "no-store" }).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

const PAGE = '<!doctype html><title>Headwater</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>';

/** The text of each chunk by its name. */
async function bundle(module: string): Promise<ReadonlyMap<string, string>> {
  const { outputFiles } = await build({
    entryPoints: { page: module },
    absWorkingDir: fileURLToPath(new URL("../..", import.meta.url)),
    bundle: true,
    splitting: true,
    outdir: "out",
    format: "esm",
    platform: "browser",
    target: "es2022",
    sourcemap: "inline",
    write: false,
  });
  return new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
}
