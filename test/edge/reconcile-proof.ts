/**
 * A store is damaged and reconciled, again and again, while the command line and the edge are killed and somebody appends. By hand:
 *
 *     node test/edge/reconcile-proof.ts [events] [kills] [seed]
 *
 * Each damage is done to the files of the stopped edge, on one side: the log, or streams. The other side is damaged only once all is repaired.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startEdge } from "../support/edge.ts";
import { deleteObject, filesOf, type StoreFiles, withDatabase } from "../support/edge-files.ts";
import { Random } from "../support/random.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { connectWith, fill, finished, start, startFront } from "./killed-commands.ts";

export interface ReconcilePlan {
  readonly events: number;
  readonly kills: number;
  readonly seed: number;
  /** Called with what was done, as it is done. */
  readonly onStep?: (step: string) => void;
}

export interface ReconcileProof {
  readonly kills: readonly string[];
  readonly damages: number;
  /** Events that were acknowledged to the writer. */
  readonly acknowledged: number;
  /** Of these, how many are in the feed at the position that the writer was given. */
  readonly found: number;
  /** Whether the feed begins with the lines of the backup. */
  readonly isSame: boolean;
  /** What `verify` says in the end. */
  readonly verified: string;
}

export async function proveReconcile({ events, kills, seed, onStep = () => undefined }: ReconcilePlan): Promise<ReconcileProof> {
  const random = new Random(seed);
  const folder = await mkdtemp(join(tmpdir(), "headwater-reconcile-"));
  const edge = await startEdge({ AUTH: "jwt", JWT_SECRET: SECRET, LOG: "faults" });
  const front = await startFront(edge);
  try {
    const token = await signToken({ sub: "operator", can: ["read", "append", "admin"], seconds: 36_000 });
    const [backup, copy] = [join(folder, "backup"), join(folder, "copy")];
    await fill(`${edge.url}/v1/store`, events, random);
    const url = `${front.url}/v1/store`;
    await finished(["export", "--url", url, "--out", backup], token);
    const { log } = await connectWith(`${edge.url}/v1/store`, token).health();
    const writer = write(`${edge.url}/v1/store`, token);
    const done: string[] = [];
    let side: "log" | "streams" = "log";
    let damages = 0;
    while (done.length < kills) {
      await edge.kill();
      damages += await damage(side, await filesOf(edge, "store", log), events, random);
      await edge.start();
      const at = random.between(1, side === "log" ? 3 : 8);
      const when = random.of(["before", "after"]);
      const victim = random.of(["edge", "command line"]);
      front.count = 0;
      const run = start(["reconcile", "--url", url], token);
      let killed: Promise<void> | undefined;
      front.onRequest = async (count, now) => {
        if (count !== at || now !== when) return;
        if (victim === "command line") run.child.kill("SIGKILL");
        else killed = edge.kill();
        done.push(`${victim}, ${when} request ${at}, ${side} damaged`);
        await killed;
      };
      const { exitCode, output } = await run.ended;
      front.onRequest = async () => undefined;
      await killed;
      if (edge.group() === undefined) await edge.start();
      onStep(`${done.length} kills: ${done.at(-1)}`);
      if (exitCode === 1 && killed === undefined) throw new Error(`Something could not be repaired: ${output}`);
      if (exitCode === 0) side = random.of(["log", "streams"]);
    }
    await finished(["reconcile", "--url", url], token);
    const acknowledged = await writer.end();
    const { output: verified } = await finished(["verify", "--url", url], token);
    await finished(["export", "--url", url, "--out", copy], token);
    const [lines, others] = await Promise.all([backup, copy].map(async (path) => (await readFile(path, "utf8")).split("\n")));
    const found = acknowledged.filter(({ id, position }) => others?.[position - 1]?.includes(id)).length;
    const isSame = lines?.slice(0, events).every((line, i) => line === others?.[i]) ?? false;
    return { kills: done, damages, acknowledged: acknowledged.length, found, isSame, verified };
  } finally {
    front.server.closeAllConnections();
    front.server.close();
    await edge.stop();
    await rm(folder, { recursive: true });
  }
}

/** @returns how many places were damaged */
async function damage(side: "log" | "streams", files: StoreFiles, events: number, random: Random): Promise<number> {
  return side === "log" ? damageLog(files.log, events, random) : damageStreams(files.streams, random);
}

/** Rows of the log are changed. Rows that are missing, and marks, are in test/worker/log/reconcile.test.ts: not every mixture of them can be repaired. */
function damageLog(path: string, events: number, random: Random): number {
  return withDatabase(path, (db) => {
    const rows = db.prepare("SELECT last_position FROM runs WHERE last_position <= ?").all(events);
    const chosen = Array.from({ length: random.between(1, 5) }, () => random.of(rows as [(typeof rows)[0], ...typeof rows]));
    for (const { last_position } of chosen) {
      const change = random.of(["replace(events, 'Recorded', 'Recoffed')", "substr(events, 1, 50)", "''"]);
      db.prepare(`UPDATE runs SET events = ${change} WHERE last_position = ?`).run(last_position ?? 0);
    }
    return chosen.length;
  });
}

async function damageStreams(streams: ReadonlyMap<string, string>, random: Random): Promise<number> {
  const own = [...streams].filter(([streamId]) => !streamId.startsWith("Live"));
  const count = random.between(1, 3);
  for (let i = 0; i < count; i++) {
    const [, path] = random.of(own as [(typeof own)[0], ...typeof own]);
    if (random.next() < 0.3) await deleteObject(path);
    else {
      const query = random.of(["DELETE FROM _cf_KV WHERE key = ?", "UPDATE _cf_KV SET value = substr(value, 1, 40) WHERE key = ?"]);
      withDatabase(path, (db) => {
        const keys = db.prepare("SELECT name FROM sqlite_master WHERE name = '_cf_KV'").get() && db.prepare("SELECT key FROM _cf_KV").all();
        if (keys && keys.length > 0) db.prepare(query).run(random.of(keys as [(typeof keys)[0], ...typeof keys])["key"] ?? "");
      });
    }
  }
  return count;
}

interface Acknowledged {
  readonly id: string;
  readonly position: number;
}

/** Appends to streams of its own, one event after the other, until it is told to end. */
function write(url: string, token: string) {
  const store = connectWith(url, token);
  const acknowledged: Acknowledged[] = [];
  let isOver = false;
  const work = async () => {
    for (let n = 0; !isOver; n++) {
      const id = crypto.randomUUID();
      const append = store.appendToStream(`Live-${n % 5}`, [{ id, type: "Lived", data: { n } }]);
      // While the edge is away, an append may fail: it is not acknowledged then.
      const position = await append.then((answer) => answer.position).catch(() => null);
      if (position !== null) acknowledged.push({ id, position });
    }
  };
  const working = work();
  return {
    end: async () => {
      isOver = true;
      await working;
      return acknowledged;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [events = 2_000, kills = 100, seed = 1] = process.argv.slice(2).map(Number);
  const proof = await proveReconcile({ events, kills, seed, onStep: (step) => console.error(step) });
  console.log({ events, seed, ...proof, kills: proof.kills.length });
  if (!proof.isSame || proof.found !== proof.acknowledged) process.exitCode = 1;
}
