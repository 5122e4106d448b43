/** The interface of a habit, and what habits have in common. */
import { isDeepStrictEqual } from "node:util";
import type { Edge } from "../edge.ts";
import type { Ground } from "../ground.ts";
import type { Network } from "../network.ts";
import type { Client } from "../platform/bundle.ts";

export interface HabitParts {
  readonly ground: Ground;
  readonly network: Network;
  readonly edge: Edge;
  readonly name: string;
}

/** What a look around needs of them. */
export type Looking = Pick<HabitParts, "ground" | "name">;

/** Runs from the beginning of a world. It resolves when the world has healed, and everything that it wanted to see has been seen. */
export type Habit = (parts: HabitParts) => Promise<void>;

/** Acts of a habit in a world. */
const ACTS = 8;
/** Milliseconds until what was not answered is tried again. */
const AGAIN = 2_000;

interface Waits {
  pause(milliseconds: number): Promise<void>;
}

/** Has a habit act now and then, until the world heals. */
export async function nowAndThen({ ground }: Looking, loop: Waits, act: () => Promise<unknown>, acts = ACTS): Promise<void> {
  const { random, params, faults, scheduler } = ground;
  const healsAt = params.minutes * 60_000;
  for (;;) {
    const wait = Math.max(1_000, random.wait(healsAt / acts));
    // Not longer than until the healing: there is no end to how long one wait may be.
    await loop.pause(Math.min(wait, Math.max(0, healsAt + 1 - scheduler.now)));
    if (faults.isOver) return;
    await act();
  }
}

/** Repeats a call until it is answered: with a result, or with an error that says more than that it may be tried again. */
export async function insist<T>(client: Client, loop: Waits, call: () => Promise<T>): Promise<T | TypedError> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof client.HeadwaterError)) throw error;
      if (!PASSING.has(error.code)) return error;
    }
    await loop.pause(AGAIN);
  }
}

/** The same for a call that must have a result. */
export async function certainly<T>(client: Client, loop: Waits, call: () => Promise<T>): Promise<T> {
  const result = await insist(client, loop, call);
  if (result instanceof client.HeadwaterError) throw result;
  return result as T; // it is no error
}

export type TypedError = InstanceType<Client["HeadwaterError"]>;

/** The faults of a world end: another try finds room again, too. */
const PASSING: ReadonlySet<string> = new Set(["unavailable", "too-many-requests", "storage-failed", "store-full"]);

/** The code and the field of the error with which a call rejects. */
export async function errorOf(
  client: Client,
  call: () => unknown,
): Promise<{ readonly code: string; readonly field?: string } | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    if (!(error instanceof client.HeadwaterError)) throw error;
    const { field } = error.details;
    return { code: error.code, ...(field !== undefined && { field }) };
  }
}

/** Has a checker compare what was read with what it must be. */
export function compare({ ground, name }: Looking, what: string, read: unknown, expected: unknown): void {
  ground.observe({ kind: "compared", where: name, what, isSame: isDeepStrictEqual(read, expected), read, expected });
}

/** All that an iterable yields. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
