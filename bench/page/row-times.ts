/**
 * Measures in the browser what rows cost while many commits are pending: a command on a stream with a live list of 20 rows, and a query of
 * 5 rows. Each number of pending commits has a store of its own, and the stores take turns.
 */
import { type Decider, type LiveRows, openStore, type Projection, type Store, type Table } from "../../client/index.ts";
import { median, timed } from "../measure.ts";

interface Task {
  readonly title: string;
  readonly at: number;
}

type TaskEvent =
  | { readonly type: "TaskAdded"; readonly data: { readonly title: string; readonly at: number } }
  | { readonly type: "TaskRenamed"; readonly data: { readonly title: string } };

/** Medians of the rounds, in milliseconds. */
export interface RowTimes {
  readonly pending: number;
  /** Until `handle` has resolved. */
  readonly handled: readonly number[];
  /** From the same call until the listener of the live list was called with the changed row. */
  readonly shown: readonly number[];
  /** A query of 5 rows. */
  readonly queried: readonly number[];
}

/** Rows that are confirmed before anything is pending. */
const CONFIRMED = 1_000;
const LIST = 20;
/** Of each kind, in one round. */
const REPEATS = 12;

function evolve(task: Task | undefined, event: TaskEvent): Task {
  switch (event.type) {
    case "TaskAdded":
      return event.data;
    case "TaskRenamed":
      return { title: event.data.title, at: task?.at ?? 0 };
  }
}

const tasks: Projection<Task, TaskEvent> = { name: "tasks", version: 1, category: "Task", indexes: ["at"], evolve };
const task: Decider<Task | null, { readonly title: string }, TaskEvent> = {
  name: "task",
  version: 1,
  initialState: null,
  evolve: (state, event) => evolve(state ?? undefined, event),
  decide: ({ title }) => [{ type: "TaskRenamed", data: { title } }],
};

const added = (at: number): TaskEvent => ({ type: "TaskAdded", data: { title: `task ${at}`, at } });
const renamed = (i: number): TaskEvent => ({ type: "TaskRenamed", data: { title: `renamed ${i}` } });

interface Measured {
  readonly pending: number;
  readonly store: Store;
  readonly table: Table<Task>;
  readonly heard: { titled: string; call: () => void };
  readonly times: { handled: number[]; shown: number[]; queried: number[] };
  rows: LiveRows<Task>["rows"];
}

/** @param url an empty store at the edge for each number of pending commits: what is measured begins with rows that are confirmed */
export async function measureRows(url: string, numbers: readonly number[], rounds: number): Promise<RowTimes[]> {
  const all = await Promise.all(numbers.map((pending) => prepare(`${url}-${pending}`, pending)));
  // The first round is not counted.
  for (let round = -1; round < rounds; round++) for (const measured of all) await measureRound(measured, round >= 0);
  return all.map(({ pending, times }) => ({ pending, ...times }));
}

async function prepare(url: string, pending: number): Promise<Measured> {
  const store = await openStore({ name: `rows-${pending}`, durability: "relaxed", sync: { url, automatic: false } });
  await Promise.all(Array.from({ length: CONFIRMED }, (_, i) => store.appendToStream(`Task-${i}`, [added(i)])));
  await store.sync();
  const table = await store.project(tasks);
  await table.caughtUp();
  // One after the other, as a person makes them. Every second one is a new row, and the others change a row that is confirmed.
  for (let i = 0; i < pending; i++) {
    if (i % 2 === 0) await store.appendToStream(`Task-${(i / 2) % CONFIRMED}`, [renamed(i)]);
    else await store.appendToStream(`Task-${CONFIRMED + i}`, [added(CONFIRMED + i)]);
  }
  const measured: Measured = {
    pending,
    store,
    table,
    heard: { titled: "", call: () => undefined },
    times: { handled: [], shown: [], queried: [] },
    rows: [],
  };
  await new Promise<void>((resolve) => {
    table.live({ index: "at", direction: "backwards", limit: LIST }).subscribe(({ rows, status, error }) => {
      if (status === "failed") throw error;
      measured.rows = rows;
      if (status === "ready") resolve();
      if (rows.some(({ row }) => row.title === measured.heard.titled)) measured.heard.call();
    });
  });
  return measured;
}

let titles = 0;

async function measureRound({ pending, store, table, rows, heard, times }: Measured, isCounted: boolean): Promise<void> {
  const round = { handled: [] as number[], shown: [] as number[], queried: [] as number[] };
  if (pending === 0) {
    await store.sync();
    await table.caughtUp();
  }
  for (let i = 0; i < REPEATS; i++) {
    const title = `title ${++titles}`;
    const shown = new Promise<number>((resolve) => {
      heard.titled = title;
      heard.call = () => resolve(performance.now());
    });
    const start = performance.now();
    await store.handle(rows[i % LIST]?.key ?? "", task, { title });
    round.handled.push(performance.now() - start);
    round.shown.push((await shown) - start);
  }
  for (let i = 0; i < REPEATS; i++) round.queried.push(await timed(() => table.query({ index: "at", from: 40 * i, limit: 5 })));
  if (!isCounted) return;
  for (const part of ["handled", "shown", "queried"] as const) times[part].push(median(round[part]));
}
