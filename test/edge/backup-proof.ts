/**
 * A backup is exported and restored while the command line and the edge are killed, and the copy is compared with the original. By hand:
 *
 *     node test/edge/backup-proof.ts [events] [kills] [seed]
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startEdge } from "../support/edge.ts";
import { Random } from "../support/random.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { fill, finished, start, startFront } from "./killed-commands.ts";

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
