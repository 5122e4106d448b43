/** The jobs that every side does on a device: appends, imports, reads and replays. */

import { type Failure, interleaved, type Outcome, timed } from "../measure.ts";
import type { Contender, OpenedLog } from "./contender.ts";
import { fillDatabase } from "./contender.ts";
import { type GivenEvent, placed, readLines, runsOf } from "./data.ts";

export interface DeviceSizes {
  readonly rounds: number;
  /** How many lines of the permits. */
  readonly lines: number;
  readonly appends: number;
  readonly atOnce: number;
  /** Runs of the permits that are appended one by one, at most. */
  readonly commits: number;
}

export interface DeviceOutcome extends Outcome {
  readonly title: string;
  readonly count: number;
  readonly unit: string;
}

export const DEVICE_JOBS = ["append", "at-once", "commits", "import", "reads", "replays"] as const;
export type DeviceJob = (typeof DEVICE_JOBS)[number];

const LENGTHS = { shortest: 8, longest: 25 };

export async function measureDevice(contenders: readonly Contender[], job: DeviceJob, sizes: DeviceSizes): Promise<DeviceOutcome[]> {
  const events = placed(await readLines("permits", sizes.lines));
  switch (job) {
    case "append":
      return [await measureAppends(contenders, events, sizes)];
    case "at-once":
      return [await measureAtOnce(contenders, events, sizes)];
    case "commits": {
      const commits = runsOf(events).slice(0, sizes.commits);
      const work = async (log: OpenedLog, isWarmUp: boolean) => {
        for (const commit of isWarmUp ? commits.slice(0, 300) : commits) await log.commit(commit);
      };
      const title = `${commits.length.toLocaleString("en")} commits, each run of the permits one, awaited in turn`;
      return [{ title, count: commits.length, unit: "commit", ...(await inNewDatabases("commits", contenders, sizes.rounds, work)) }];
    }
    case "import": {
      const work = async (log: OpenedLog) => {
        for (let i = 0; i < events.length; i += 100) await log.importAll(events.slice(i, i + 100));
      };
      const title = `import of ${events.length.toLocaleString("en")} permits events, a hundred at a time`;
      return [{ title, count: events.length, unit: "event", ...(await inNewDatabases("import", contenders, sizes.rounds, work)) }];
    }
    case "reads":
      return measureReads(contenders, events, sizes.rounds);
    case "replays":
      return measureReplays(contenders, events, sizes.rounds);
    default:
      return job satisfies never;
  }
}

/** One event, awaited, again and again, to a new stream in each round. */
async function measureAppends(contenders: readonly Contender[], events: readonly GivenEvent[], sizes: DeviceSizes): Promise<DeviceOutcome> {
  let streams = 0;
  let position = 0;
  const some = events.slice(0, sizes.appends);
  const outcome = await inOneDatabase("append", contenders, sizes.rounds, (log) => {
    const streamId = `One-${++streams}`;
    const given = some.map((event, i) => ({ ...event, id: crypto.randomUUID(), streamId, version: i + 1, position: ++position }));
    return timed(async () => {
      for (const event of given) await log.append(event);
    });
  });
  return { title: "append one event, awaited", count: some.length, unit: "append", ...outcome };
}

/** Each event to a stream of its own, all at once. */
async function measureAtOnce(contenders: readonly Contender[], events: readonly GivenEvent[], sizes: DeviceSizes): Promise<DeviceOutcome> {
  let round = 0;
  let position = 0;
  const some = events.slice(0, sizes.atOnce);
  const outcome = await inOneDatabase("at-once", contenders, sizes.rounds, (log) => {
    round++;
    const given = some.map((event, i) => ({
      ...event,
      id: crypto.randomUUID(),
      streamId: `Many${round}-${i}`,
      version: 1,
      position: ++position,
    }));
    return timed(() => Promise.all(given.map((event) => log.append(event))));
  });
  return { title: `${some.length} appends at once, each to a stream of its own`, count: some.length, unit: "append", ...outcome };
}

async function measureReads(contenders: readonly Contender[], events: readonly GivenEvent[], rounds: number): Promise<DeviceOutcome[]> {
  const streams = [...Map.groupBy(events, ({ streamId }) => streamId)].filter(
    ([, { length }]) => length >= LENGTHS.shortest && length <= LENGTHS.longest,
  );
  const outcome = await inFilledDatabases("reads", contenders, events, rounds, async (contender, database) => {
    const log = await contender.open(database);
    const time = await timed(async () => {
      for (const [streamId, { length }] of streams) expectCount(await log.readStream(streamId), length);
    });
    await log.close();
    return time;
  });
  const title = `read a stream of ${LENGTHS.shortest} to ${LENGTHS.longest} events, of a store of ${events.length.toLocaleString("en")}`;
  return [{ title, count: streams.length, unit: "read", ...outcome }];
}

/** The first pass right after the store was opened, and a second one. */
async function measureReplays(contenders: readonly Contender[], events: readonly GivenEvent[], rounds: number): Promise<DeviceOutcome[]> {
  const facts = { count: events.length, unit: "event" };
  const second = new Map<string, number[]>();
  const first = await inFilledDatabases("replays", contenders, events, rounds, async (contender, database) => {
    const log = await contender.open(database);
    try {
      const { replay } = log;
      if (replay === undefined) throw new Error("Pending events have no position yet, so there is no replay of them.");
      const pass = () => timed(async () => expectCount(await replay(), events.length));
      const time = await pass();
      second.set(contender.name, [...(second.get(contender.name) ?? []), await pass()]);
      return time;
    } finally {
      await log.close();
    }
  });
  const title = `replay of ${events.length.toLocaleString("en")} events`;
  // The first round is not counted.
  const sides = first.sides.map(({ name }) => ({ name, times: (second.get(name) ?? []).slice(1) }));
  return [
    { title: `${title}, first pass after opening`, ...facts, ...first },
    { title: `${title}, second pass`, ...facts, sides, failures: first.failures },
  ];
}

/** A side that returns something else has not done the job. */
function expectCount(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`There are ${found} events in place of ${wanted}`);
}

/** All rounds in one database of each side. @param round returns its milliseconds */
async function inOneDatabase(
  job: string,
  contenders: readonly Contender[],
  rounds: number,
  round: (log: OpenedLog) => Promise<number>,
): Promise<Outcome> {
  const logs = new Map<Contender, OpenedLog>();
  const { usable, failures } = await eachOf(
    contenders,
    async (contender, database) => {
      logs.set(contender, await contender.open(database));
    },
    job,
  );
  const outcome = await interleaved(
    usable.map((contender) => ({ name: contender.name, round: () => round(given(logs.get(contender))) })),
    rounds,
  );
  for (const log of logs.values()) await log.close();
  await removeAll(contenders, job);
  return { ...outcome, failures: [...failures, ...outcome.failures] };
}

/** A new database for each round. Opening it is not timed. */
function inNewDatabases(
  job: string,
  contenders: readonly Contender[],
  rounds: number,
  work: (log: OpenedLog, isWarmUp: boolean) => Promise<void>,
): Promise<Outcome> {
  let names = 0;
  const warm = new Set<Contender>();
  const round = async (contender: Contender) => {
    const database = `${job}-${++names}`;
    const log = await contender.open(database);
    const time = await timed(() => work(log, !warm.has(contender)));
    warm.add(contender);
    await log.close();
    await contender.remove(database);
    return time;
  };
  return interleaved(
    contenders.map((contender) => ({ name: contender.name, round: () => round(contender) })),
    rounds,
  );
}

/** All rounds in a database of each side that has the events. */
async function inFilledDatabases(
  job: string,
  contenders: readonly Contender[],
  events: readonly GivenEvent[],
  rounds: number,
  round: (contender: Contender, database: string) => Promise<number>,
): Promise<Outcome> {
  const { usable, failures } = await eachOf(contenders, (contender, database) => fillDatabase(contender, database, events), job);
  const outcome = await interleaved(
    usable.map((contender) => ({ name: contender.name, round: () => round(contender, nameOf(job, contenders.indexOf(contender))) })),
    rounds,
  );
  await removeAll(contenders, job);
  return { ...outcome, failures: [...failures, ...outcome.failures] };
}

function nameOf(job: string, index: number): string {
  return `${job}-${index}`;
}

async function eachOf(
  contenders: readonly Contender[],
  work: (contender: Contender, database: string) => Promise<void>,
  job: string,
): Promise<{ readonly usable: readonly Contender[]; readonly failures: readonly Failure[] }> {
  const usable: Contender[] = [];
  const failures: Failure[] = [];
  for (const [i, contender] of contenders.entries()) {
    try {
      await work(contender, nameOf(job, i));
      usable.push(contender);
    } catch (error) {
      failures.push({ name: contender.name, why: String(error) });
    }
  }
  return { usable, failures };
}

/** What is left over does not disturb: a side that failed may not be able to remove its database either. */
async function removeAll(contenders: readonly Contender[], job: string): Promise<void> {
  for (const [i, contender] of contenders.entries()) await contender.remove(nameOf(job, i)).catch(() => undefined);
}

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("It was not opened.");
  return value;
}
