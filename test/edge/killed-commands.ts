/** What proofs with kills share: a filled store, the command line as a process, and a front that counts its requests. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { fileURLToPath } from "node:url";
import { type Commit, connectStore, type EdgeStore } from "../../client/http.ts";
import type { EdgeProcess } from "../support/edge.ts";
import type { Random } from "../support/random.ts";
import { signToken } from "../support/tokens.ts";

const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** Fills a store: streams of several categories, several actors, commits of 1 to 40 events, in turns. */
export async function fill(url: string, count: number, random: Random): Promise<number> {
  const stores = await Promise.all(["ann", "bob", "Zoë 💧"].map(async (sub) => connectWith(url, await signToken({ sub }))));
  const versions = new Map<string, number>();
  const most = Math.max(20, Math.ceil(count / 20));
  for (let left = count; left > 0; ) {
    const store = random.of(stores as [EdgeStore, ...EdgeStore[]]);
    const commits: Commit[] = [];
    while (commits.length < 20 && left > 0) {
      const streamId = `${["Permit", "Ticket", "Note"][commits.length % 3]}-${random.between(1, most)}`;
      if (commits.some((commit) => commit.streamId === streamId)) continue;
      const size = Math.min(left, random.next() < 0.3 ? 1 : random.between(1, 40));
      const version = versions.get(streamId) ?? 0;
      const events = Array.from({ length: size }, (_, i) => ({
        type: "Recorded",
        data: { n: version + i, text: "ä€💧".repeat(random.between(0, 4)), fraction: random.next(), list: [null, true, { 10: 1, a: 2 }] },
        metadata: { causationId: crypto.randomUUID(), correlationId: `Order-${left}` },
        occurredAt: new Date(1.7e12 + random.between(0, 1e10)).toISOString(),
      }));
      commits.push(store.prepare(streamId, events, { expectedVersion: version }));
      versions.set(streamId, version + size);
      left -= size;
    }
    const results = await store.push(commits);
    const wrong = results.find(({ status }) => status !== "committed");
    if (wrong !== undefined) throw new Error(`The store could not be filled: ${JSON.stringify(wrong)}`);
  }
  return versions.size;
}

export function connectWith(url: string, token: string): EdgeStore {
  return connectStore({ url, token: () => token });
}

export interface Front {
  readonly url: string;
  readonly server: Server;
  /** Requests since it was last set to 0. */
  count: number;
  /** Called with the number of each request, before it is passed on and after it was answered. */
  onRequest: (count: number, when: "before" | "after") => Promise<void>;
}

/** Between the command line and the edge: it counts requests, so that a kill happens at a place and not at a time. */
export async function startFront(edge: EdgeProcess): Promise<Front> {
  const server = createServer(async (request, response) => {
    const own = ++front.count;
    try {
      await front.onRequest(own, "before");
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = "GET", headers } = request;
      const body = chunks.length === 0 ? {} : { body: Buffer.concat(chunks) };
      const answer = await fetch(edge.url + request.url, { method, headers: { authorization: headers.authorization ?? "" }, ...body });
      const text = await answer.text();
      await front.onRequest(own, "after");
      response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" }).end(text);
    } catch {
      response.destroy(); // the edge or the command line was killed
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const front: Front = { url: `http://127.0.0.1:${port}`, server, count: 0, onRequest: async () => undefined };
  return front;
}

export interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly exitCode: number | null; readonly output: string; readonly milliseconds: number }>;
}

export function start(args: readonly string[], token: string): Run {
  const began = performance.now();
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, HEADWATER_TOKEN: token },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = once(child, "close").then(([exitCode]) => ({ exitCode, output, milliseconds: performance.now() - began }));
  return { child, ended };
}

export async function finished(args: readonly string[], token: string): Promise<{ output: string; milliseconds: number }> {
  const { exitCode, ...rest } = await start(args, token).ended;
  if (exitCode !== 0) throw new Error(`headwater ${args.join(" ")} ended with ${exitCode}: ${rest.output}`);
  return rest;
}
