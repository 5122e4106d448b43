/** Stores of chosen sizes, whose events come from a feed in the page, and operations that are timed on several of them in turn. */
import { type ConfirmedEvent, deleteStore, openStore, type Projection, type Store } from "../../client/index.ts";
import { toPosition, toVersion } from "../../shared/order.ts";
import { type FeedInPage, feedInPage } from "./feed-in-page.ts";

/** Milliseconds of each repetition, by what is timed and by size. */
export interface GrowthLine {
  readonly what: string;
  readonly points: { readonly at: number; readonly times: number[] }[];
}

export interface Sized {
  /** On the axis. */
  readonly at: number;
  readonly events: number;
  readonly streams: number;
}

export interface SizedStore extends Sized {
  readonly name: string;
  readonly feed: FeedInPage;
}

/** Events of this type are ten in each store, however large it is. */
export const RARE = "Rare";
const RARE_EVENTS = 10;
const TIME = "2026-01-01T00:00:00.000Z";

export function streamOf(index: number): string {
  return `Grow-${index}`;
}

/** Streams take turns, so that events which are neighbours in a stream are not neighbours in the feed. */
export function eventOf({ events, streams }: Sized, position: number): ConfirmedEvent {
  const isRare = position <= events && position % Math.floor(events / RARE_EVENTS) === 0;
  return recorded(
    position,
    streamOf((position - 1) % streams),
    Math.floor((position - 1) / streams) + 1,
    isRare ? RARE : `Step${position % 10}`,
  );
}

export function recorded(position: number, streamId: string, version: number, type: string): ConfirmedEvent {
  return {
    id: `00000000-0000-4000-8000-${position.toString(16).padStart(12, "0")}`,
    streamId,
    version: toVersion(version),
    position: toPosition(position),
    type,
    schemaVersion: 1,
    data: { number: position, channel: "Internet", department: "General", responsible: `Resource${position % 50}`, text: "x".repeat(100) },
    metadata: { actor: "bench" },
    occurredAt: TIME,
    recordedAt: TIME,
    actor: null,
  };
}

let names = 0;

/** A closed store that holds all events of its feed. */
export async function createSized(size: Sized): Promise<SizedStore> {
  const sized = { ...size, name: `growth-${++names}`, feed: feedInPage(size.events, (position) => eventOf(size, position)) };
  const store = await openSized(sized);
  await store.sync();
  await store.close();
  return sized;
}

export function openSized({ name, feed }: { readonly name: string; readonly feed: FeedInPage }): Promise<Store> {
  return openStore({ name, persist: false, sync: feed.sync });
}

export async function removeAll(stores: readonly { readonly name: string }[]): Promise<void> {
  for (const { name } of stores) await deleteStore(name);
}

/**
 * Repeats an operation on each of several stores in turn. The first repetition is not counted.
 *
 * @param work returns the milliseconds of each thing that it timed, by its name
 */
export async function inTurn<T extends { readonly at: number }>(
  stores: readonly T[],
  repetitions: number,
  work: (store: T) => Promise<Readonly<Record<string, number>>>,
): Promise<GrowthLine[]> {
  const lines = new Map<string, Map<number, number[]>>();
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    for (const store of stores) {
      for (const [what, time] of Object.entries(await work(store))) {
        if (repetition === 0) continue;
        const line = lines.get(what) ?? new Map<number, number[]>();
        lines.set(what, line);
        line.set(store.at, [...(line.get(store.at) ?? []), Math.round(time * 1000) / 1000]);
      }
    }
  }
  return [...lines].map(([what, points]) => ({ what, points: [...points].map(([at, times]) => ({ at, times })) }));
}

export interface Steps {
  readonly steps: number;
  readonly last: string;
}
interface Step {
  readonly type: string;
  readonly data: unknown;
}

export const stepsEvolve = (state: Steps | undefined, { type }: Step): Steps => ({ steps: (state?.steps ?? 0) + 1, last: type });

/** Each command is one step. @param version a decider of another version has no snapshot yet */
export function stepsDecider(version: number) {
  return {
    name: "steps",
    version,
    initialState: { steps: 0, last: "" },
    evolve: stepsEvolve,
    decide: (command: string) => [{ type: "Step", data: { command } }],
  };
}

export const STEPS_ROWS: Projection<Steps, Step & { readonly streamId: string }> = {
  name: "steps",
  version: 1,
  indexes: ["last"],
  evolve: stepsEvolve,
};
