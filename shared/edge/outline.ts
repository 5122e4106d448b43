/**
 * What is in a block of the log, without its events: by it a reader's search passes over a block in which no event can match. PostgreSQL has the same
 * for the blocks of a table (block range indexes, BRIN: https://www.postgresql.org/docs/current/brin.html).
 *
 *     positions      1 ──────── 1024   1025 ───── 2048   2049 …
 *     categories     Permit            Permit Desk              a block: the rows of the log that end there
 *     types          Opened            Opened Closed
 *     recorded       09:00 … 09:20     09:21 … 11:00
 *     correlations   7f31 02c4 9a10    04be 1c77 …              32 bits of each id, sorted
 *
 * An outline may let a block pass for a match that has none. It never says of a block with an event that matches that it has none.
 */
import { correlationOf } from "../event/causation.ts";
import type { RecordedEvent } from "../event/event.ts";
import type { EdgeFilter } from "../feed-filter.ts";
import { categoryOf } from "../stream-id.ts";
import { idPrint } from "./fingerprints.ts";
import { mayReach, type Reach } from "./grants.ts";

/** Positions of a block. */
export const OUTLINED = 1024;
/** Categories, and types, that an outline names, at most. Of a block with more of them it says nothing. */
const NAMES = 100;

export interface Outline {
  /** Null if there are too many. */
  readonly categories: readonly string[] | null;
  readonly types: readonly string[] | null;
  /** When the first and the last of them were recorded, in milliseconds since 1970; null if no event says it. */
  readonly recorded: { readonly first: number; readonly last: number } | null;
}

type OutlinedEvent = Pick<RecordedEvent, "id" | "type" | "metadata" | "recordedAt">;

/** The number of the block that has a row which ends at a position, from 0. */
export function outlinedBlock(end: number): number {
  return Math.floor((end - 1) / OUTLINED);
}

/** The last position of a block. */
export function outlinedEnd(block: number): number {
  return (block + 1) * OUTLINED;
}

/** Makes the outline of a block, one event after the other. */
export class Outliner {
  readonly #categories = new Set<string>();
  readonly #types = new Set<string>();
  readonly #correlations: number[] = [];
  #recorded: { first: number; last: number } | null = null;

  add(streamId: string, event: OutlinedEvent): void {
    if (this.#categories.size <= NAMES) this.#categories.add(categoryOf(streamId));
    if (this.#types.size <= NAMES) this.#types.add(event.type);
    this.#correlations.push(idPrint(correlationOf(event)));
    const at = Date.parse(event.recordedAt ?? "");
    if (Number.isNaN(at)) return; // no time matches it
    const { first, last } = this.#recorded ?? { first: at, last: at };
    this.#recorded = { first: Math.min(first, at), last: Math.max(last, at) };
  }

  outline(): Outline {
    return { categories: namesOf(this.#categories), types: namesOf(this.#types), recorded: this.#recorded };
  }

  correlations(): Correlations {
    return Correlations.of(this.#correlations);
  }
}

function namesOf(names: ReadonlySet<string>): readonly string[] | null {
  return names.size > NAMES ? null : [...names].sort();
}

/** Which correlation ids the events of a block have. Ids may have the same 32 bits: of a million events, some have those of one id in 4,000. */
export class Correlations {
  readonly #prints: Uint32Array;

  private constructor(prints: Uint32Array) {
    this.#prints = prints;
  }

  static of(prints: Iterable<number>): Correlations {
    return new Correlations(Uint32Array.from(new Set(prints)).sort());
  }

  /** @param bytes as `toBytes` returns them */
  static from(bytes: ArrayBuffer): Correlations {
    return new Correlations(new Uint32Array(bytes));
  }

  toBytes(): Uint8Array {
    return new Uint8Array(this.#prints.buffer);
  }

  mayHave(correlationId: string): boolean {
    return this.#prints.includes(idPrint(correlationId));
  }
}

/** Whether a block may have an event that a reader gets. @param correlations of the block; asked only if the filter names one */
export function mayMatch(
  { categories, types, recorded }: Outline,
  correlations: () => Correlations | undefined,
  filter: EdgeFilter,
  reach: Reach,
): boolean {
  const { type, correlation } = filter;
  if (categories?.some((category) => filter.category(category) && mayReach(reach, category)) === false) return false;
  if (type !== undefined && types?.some(type) === false) return false;
  if (!mayBeRecorded(recorded, filter)) return false;
  return correlation === undefined || (correlations()?.mayHave(correlation) ?? true);
}

function mayBeRecorded(recorded: Outline["recorded"], { since, until }: EdgeFilter): boolean {
  if (since === undefined && until === undefined) return true;
  return recorded !== null && recorded.last >= (since ?? recorded.last) && recorded.first <= (until ?? recorded.first);
}
