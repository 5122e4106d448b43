/** An app reads a store in every way there is. What it reads in one way agrees with what it reads in another at the same moment. */

import type { IndexField, Projection } from "../../../shared/device/projection.ts";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import type { Ground } from "../ground.ts";
import { atOneMoment, unlessTyped } from "../looks.ts";
import { ledgerOf } from "../models/ledger.ts";
import type { Store, Tab } from "../tab.ts";
import { all, compare, type Looking, nowAndThen } from "./habit.ts";

interface Listed {
  readonly events: number;
  readonly last: string;
}

type Folded = Pick<ConfirmedEvent, "streamId" | "type">;

/** Two versions of the app differ in what the rows can be found by. */
function listing(version: 1 | 2): Projection<Listed, Folded, "events" | "last"> {
  return {
    name: "listing",
    version,
    indexes: version === 1 ? ["events"] : ["events", "last"],
    evolve: (row, { type }) => ({ events: (row?.events ?? 0) + 1, last: type }),
  };
}

const LISTINGS = [listing(1), listing(2)] as const;

/** Of each tab in a world. */
const LOOKS = 3;

/** The app of a tab looks around now and then. */
export async function browse(tab: Tab, store: Store, ground: Ground, streams: readonly string[]): Promise<void> {
  const parts = { ground, name: tab.name };
  await nowAndThen(parts, tab, () => lookAround(parts, tab, store, streams), LOOKS);
}

export async function lookAround(parts: Looking, tab: Tab, store: Store, streams: readonly string[]): Promise<void> {
  await readStreams(parts, tab, store, streams);
  await readFeed(parts, tab, store);
  await readStates(parts, tab, store, streams);
  await readRows(parts, tab, store);
  await listen(parts, tab, store, streams);
}

async function readStreams(parts: Looking, tab: Tab, store: Store, streams: readonly string[]): Promise<void> {
  const { random } = parts.ground;
  const streamId = random.pick(streams);
  const [from, limit] = [random.between(1, 4), random.between(1, 4)];
  const seen = await atOneMoment(tab, async () => {
    const whole = await orNone(tab, () => store.readStream(streamId));
    const part = await orNone(tab, () => store.readStream(streamId, { from, limit }));
    const end = await orNone(tab, () => store.readStream(streamId, { direction: "backwards", limit }));
    const before = await orNone(tab, () => store.readStream(streamId, { direction: "backwards", from }));
    return { whole, part, end, before };
  });
  if (seen === undefined) return;
  const { whole, part, end, before } = seen;
  const events = whole?.events ?? [];
  compare(parts, `${streamId} from @${from}, ${limit} events`, part?.events ?? [], events.slice(from - 1, from - 1 + limit));
  compare(parts, `the last ${limit} of ${streamId}`, end?.events ?? [], events.toReversed().slice(0, limit));
  compare(parts, `${streamId} backwards from @${from}`, before?.events ?? [], events.slice(0, from).toReversed());
  const versions = [part, end, before].map((slice) => slice?.version);
  compare(
    parts,
    `the version of ${streamId}`,
    versions,
    versions.map(() => whole?.version),
  );
}

async function orNone<T>(tab: Tab, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof tab.client.StreamNotFoundError) return undefined;
    throw error;
  }
}

async function readFeed(parts: Looking, tab: Tab, store: Store): Promise<void> {
  const { random } = parts.ground;
  const after = random.between(0, 12);
  const limit = random.between(1, 5);
  const seen = await atOneMoment(tab, async () => {
    const whole = await all(store.readAll());
    const some = await all(store.readAll({ after, limit }));
    const permits = await all(store.readAll({ category: "Permit", type: ["Measured", "Counted", "Noted"] }));
    const one = await all(store.readAll({ stream: "Permit-1", after }));
    return { whole, some, permits, one };
  });
  if (seen === undefined) return;
  const { whole, some, permits, one } = seen;
  const isPermit = ({ streamId, type }: ConfirmedEvent) =>
    streamId.startsWith("Permit-") && ["Measured", "Counted", "Noted"].includes(type);
  compare(parts, `${limit} events after #${after}`, some, whole.filter(({ position }) => position > after).slice(0, limit));
  compare(parts, "some events of permits", permits, whole.filter(isPermit));
  const isOne = ({ streamId, position }: ConfirmedEvent) => streamId === "Permit-1" && position > after;
  compare(parts, `Permit-1 after #${after}`, one, whole.filter(isOne));
  const begun = whole.find(({ metadata }) => metadata.correlationId !== undefined)?.metadata.correlationId ?? whole[0]?.id;
  if (begun === undefined) return;
  const trees = await unlessTyped(tab, tab.client.readCorrelation(store, begun));
  const roots = (trees ?? []).filter(({ event }) => event.id === begun);
  if (trees !== undefined && roots.length > 0) compare(parts, `the trees that begin with ${begun}`, roots.length, 1);
}

/** Back in time. */
async function readStates(parts: Looking, tab: Tab, store: Store, streams: readonly string[]): Promise<void> {
  const streamId = parts.ground.random.pick(streams);
  const decider = ledgerOf(1);
  const seen = await atOneMoment(tab, async () => {
    const slice = await orNone(tab, () => store.readStream(streamId));
    const events = slice?.events ?? [];
    const middle = events[Math.floor(events.length / 2)];
    const { version = 1, position, recordedAt } = middle ?? {};
    const states = [
      { what: "version", until: version, state: await store.aggregateStream(streamId, decider, { upTo: { version } }) },
      {
        what: "position",
        until: position ?? 0,
        state: await store.aggregateStream(streamId, decider, { upTo: { position: position ?? 0 } }),
      },
    ];
    if (typeof recordedAt === "string")
      states.push({
        what: "time",
        until: Date.parse(recordedAt),
        state: await store.aggregateStream(streamId, decider, { upTo: { time: recordedAt } }),
      });
    return { events, states };
  });
  if (seen === undefined) return;
  const { events, states } = seen;
  for (const { what, until, state } of states) {
    const folded = events.filter(({ version, position, recordedAt }) => {
      if (what === "version") return version <= until;
      return what === "position" ? position !== null && position <= until : recordedAt !== null && Date.parse(recordedAt ?? "") <= until;
    });
    compare(parts, `${streamId} up to ${what} ${until}`, [state.version, state.state.events], [folded.at(-1)?.version ?? 0, folded.length]);
  }
}

async function readRows(parts: Looking, tab: Tab, store: Store): Promise<void> {
  const { random } = parts.ground;
  const version = random.chance(0.6) ? 1 : 2;
  const table = await unlessTyped(tab, store.project(LISTINGS[version - 1] ?? LISTINGS[0]));
  if (table === undefined) return;
  const ends = [table.live({ limit: 3 }).subscribe(() => undefined), table.liveStatus().subscribe(() => undefined)];
  await tab.pause(random.between(50, 500));
  const least = random.between(1, 3);
  const limit = random.between(1, 4);
  const index: IndexField<Listed> = version === 2 && random.chance(0.5) ? "last" : "events";
  const direction = random.pick(["forwards", "backwards"] as const);
  const seen = await atOneMoment(tab, async () => {
    const rows = await table.query();
    return {
      rows,
      one: await table.get("Permit-1"),
      many: await table.query({ index: "events", from: least, direction }),
      few: await table.query({ index, direction, limit }),
      last: await table.query({ from: "Permit-1", to: "Permit-2", direction: "backwards" }),
      none: await table.query({ from: "b", to: "a" }),
    };
  });
  for (const end of ends) end();
  if (seen === undefined) return;
  const { rows, one, many, few, last, none } = seen;
  const ordered = rows.toSorted((a, b) => (a.row[index] < b.row[index] ? -1 : a.row[index] > b.row[index] ? 1 : a.key < b.key ? -1 : 1));
  const byEvents = rows
    .toSorted((a, b) => a.row.events - b.row.events || (a.key < b.key ? -1 : 1))
    .filter(({ row }) => row.events >= least);
  compare(parts, "the row of a key", one, rows.find(({ key }) => key === "Permit-1")?.row);
  compare(parts, `rows with ${least} events or more, ${direction}`, many, direction === "forwards" ? byEvents : byEvents.toReversed());
  compare(
    parts,
    `${limit} rows by ${index}, ${direction}`,
    few,
    (direction === "forwards" ? ordered : ordered.toReversed()).slice(0, limit),
  );
  compare(parts, "rows in a range", last, rows.filter(({ key }) => key >= "Permit-1" && key <= "Permit-2").toReversed());
  compare(parts, "rows in no range", none, []);
  await readRowsBefore(parts, tab, store, version);
}

/** The rows as they were. */
async function readRowsBefore(parts: Looking, tab: Tab, store: Store, version: 1 | 2): Promise<void> {
  const table = await unlessTyped(tab, store.project(LISTINGS[version - 1] ?? LISTINGS[0]));
  if (table === undefined) return;
  const position = parts.ground.random.between(0, 12);
  const seen = await atOneMoment(tab, async () => ({ rows: await table.upTo({ position }), events: await all(store.readAll()) }));
  if (seen === undefined || parts.ground.params.scope !== "all") return;
  const counts = new Map<string, number>();
  for (const event of seen.events) if (event.position <= position) counts.set(event.streamId, (counts.get(event.streamId) ?? 0) + 1);
  const read = [...seen.rows].map(([key, row]) => [key, row.events]);
  compare(parts, `the rows up to #${position}`, read.sort(), [...counts].sort());
}

/** Listens to everything for a while. What comes is what was asked for. */
async function listen(parts: Looking, tab: Tab, store: Store, streams: readonly string[]): Promise<void> {
  const { random } = parts.ground;
  const first = (await unlessTyped(tab, all(store.readAll({ limit: 3 }))))?.at(-1);
  const heard: ConfirmedEvent[] = [];
  const correlation = first?.metadata.correlationId ?? first?.id;
  const from =
    first === undefined ? "beginning" : random.pick([{ time: first.recordedAt ?? "" }, first.position, "beginning", "now"] as const);
  const filter = random.pick([{ type: ["Measured", "Noted"] }, { stream: "Permit-1" }, correlation === undefined ? {} : { correlation }]);
  const ends = [
    store.subscribe((event) => void heard.push(event), { ...filter, from, onError: () => undefined }),
    store.liveStatus().subscribe(() => undefined),
    store.live(random.pick(streams), ledgerOf(1)).subscribe(() => undefined),
    // One that nobody wanted after all.
    store.subscribe(() => undefined, { from: "now" }),
  ];
  ends.at(-1)?.();
  await tab.pause(random.between(100, 3_000));
  for (const end of ends) end();
  const wrong = heard.filter(({ type, streamId, id, metadata }) => {
    if ("type" in filter) return !(filter.type ?? []).includes(type);
    if ("stream" in filter) return streamId !== filter.stream;
    return "correlation" in filter && id !== filter.correlation && metadata.correlationId !== filter.correlation;
  });
  compare(parts, `what a subscription of ${JSON.stringify(filter)} also got`, wrong, []);
}
