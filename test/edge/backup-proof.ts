/**
 * A backup is exported and restored while the command line and the edge are killed, and the copy is compared with the original. By hand:
 *
 *     node test/edge/backup-proof.ts [events] [kills] [seed]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Commit, connectStore, type EdgeStore } from "../../client/http.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { Random } from "../support/random.ts";
import { SECRET, signToken } from "../support/tokens.ts";

const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

export interface ProofPlan {
  readonly events: number;
  readonly kills: number;
  readonly seed: number;
  /** Called with what was done, as it is done. */
  readonly onStep?: (step: string) => void;
}

export interface Proof {
  readonly streams: number;
  /** Bytes of the export. */
  readonly bytes: number;
  /** Milliseconds of a restore that nobody disturbs. */
  readonly undisturbed: number;
  readonly export: number;
  readonly verify: number;
  /** What was killed, and at which request of its run. */
  readonly kills: readonly string[];
  /** What a reader was answered meanwhile, without repeats: the log's head, or the code of an error. */
  readonly seen: readonly string[];
  /** Whether the exports of the original and of both copies are the same bytes. */
  readonly isSame: boolean;
  /** What `verify --against` says of the copy whose restore was killed. */
  readonly verified: string;
}

/** Fills a store: streams of several categories, several actors, commits of 1 to 40 events, in turns. */
async function fill(url: string, count: number, random: Random): Promise<number> {
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

function connectWith(url: string, token: string): EdgeStore {
  return connectStore({ url, token: () => token });
}

interface Front {
  readonly url: string;
  readonly server: Server;
  /** Requests since it was last set to 0. */
  count: number;
  /** Called with the number of each request, before it is passed on and after it was answered. */
  onRequest: (count: number, when: "before" | "after") => Promise<void>;
}

/** Between the command line and the edge: it counts requests, so that a kill happens at a place and not at a time. */
async function startFront(edge: EdgeProcess): Promise<Front> {
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

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly exitCode: number | null; readonly output: string; readonly milliseconds: number }>;
}

function start(args: readonly string[], token: string): Run {
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

async function finished(args: readonly string[], token: string): Promise<{ output: string; milliseconds: number }> {
  const { exitCode, ...rest } = await start(args, token).ended;
  if (exitCode !== 0) throw new Error(`headwater ${args.join(" ")} ended with ${exitCode}: ${rest.output}`);
  return rest;
}

export async function proveBackup({ events, kills, seed, onStep = () => undefined }: ProofPlan): Promise<Proof> {
  const random = new Random(seed);
  const folder = await mkdtemp(join(tmpdir(), "headwater-backup-"));
  const edge = await startEdge({ AUTH: "jwt", JWT_SECRET: SECRET });
  const front = await startFront(edge);
  try {
    const token = await signToken({ sub: "operator", can: ["read", "admin"], seconds: 36_000 });
    const [original, undisturbed, disturbed] = ["original", "undisturbed", "disturbed"] as const;
    const urlOf = (name: string) => `${front.url}/v1/${name}`;
    const fileOf = (name: string) => join(folder, `${name}.ndjson`);
    const exported = (name: string) => finished(["export", "--url", urlOf(name), "--out", fileOf(name)], token);
    const streams = await fill(`${edge.url}/v1/${original}`, events, random);
    onStep(`filled: ${events} events in ${streams} streams`);
    const { milliseconds: exportTime } = await exported(original);
    onStep(`exported in ${Math.round(exportTime)} ms`);
    front.count = 0;
    const { milliseconds: restoreTime } = await finished(["restore", fileOf(original), "--url", urlOf(undisturbed)], token);
    const requests = front.count;
    onStep(`restored in ${Math.round(restoreTime)} ms by ${requests} requests`);

    const done: string[] = [];
    const reader = observe(`${edge.url}/v1/${disturbed}/feed?limit=1`, token);
    const args = ["restore", fileOf(original), "--url", urlOf(disturbed)];
    while (done.length < kills) {
      // A run goes on where the last one was killed, so a part of the requests is left.
      const at = random.between(1, Math.max(3, Math.ceil((1.5 * requests) / kills)));
      const when = random.of(["before", "after"]);
      const victim = random.of(["edge", "command line"]);
      front.count = 0;
      const run = start(args, token);
      let killed: Promise<void> | undefined;
      front.onRequest = async (count, now) => {
        if (count !== at || now !== when) return;
        if (victim === "command line") run.child.kill("SIGKILL");
        else killed = edge.kill();
        done.push(`${victim}, ${when} request ${at}`);
        await killed;
      };
      const { exitCode, output } = await run.ended;
      front.onRequest = async () => undefined;
      await killed;
      if (edge.group() === undefined) await edge.start();
      onStep(`killed: ${done.at(-1)}`);
      if (exitCode === 0) break;
      if (exitCode === 1 && victim !== "edge") throw new Error(`A restore that nobody disturbed yet has failed: ${output}`);
    }
    await finished(args, token);
    const seen = await reader.end();
    onStep("restored after the kills");
    await exported(undisturbed);
    await exported(disturbed);
    const [first, ...copies] = await Promise.all([original, undisturbed, disturbed].map((name) => readFile(fileOf(name))));
    const { output: verified, milliseconds: verify } = await finished(
      ["verify", "--against", fileOf(original), "--url", urlOf(disturbed)],
      token,
    );
    return {
      streams,
      bytes: first?.length ?? 0,
      undisturbed: restoreTime,
      export: exportTime,
      verify,
      kills: done,
      seen,
      isSame: first !== undefined && copies.every((copy) => copy.equals(first)),
      verified,
    };
  } finally {
    front.server.closeAllConnections();
    front.server.close();
    await edge.stop();
    await rm(folder, { recursive: true });
  }
}

/** Reads the feed again and again. */
function observe(url: string, token: string) {
  const seen: string[] = [];
  let isOver = false;
  const look = async () => {
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    const { head, code } = await response.json();
    const found = code ?? `#${head}`;
    if (seen.at(-1) !== found) seen.push(found);
  };
  const work = async () => {
    // Between a kill of the edge and its restart nobody answers.
    while (!isOver) await look().catch(() => new Promise((resolve) => setTimeout(resolve, 20)));
    await look();
  };
  const working = work();
  return {
    end: async () => {
      isOver = true;
      await working;
      return seen;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [events = 100_000, kills = 10, seed = 1] = process.argv.slice(2).map(Number);
  const proof = await proveBackup({ events, kills, seed, onStep: (step) => console.error(step) });
  console.log({ events, seed, ...proof, eventsPerSecond: Math.round((events / proof.undisturbed) * 1000) });
  if (!proof.isSame) process.exitCode = 1;
}
