/**
 * What readers have found out about the log: for a filter, which rows of a stretch have events that match. Whoever reads by the same filter again
 * looks at these rows alone. History does not change, so what is remembered stays right until the object goes away or is repaired. A damaged
 * row counts as one that matches, so that each reader meets it. Rows that are missing are not remembered at all.
 *
 *     rows        │ a │ b │ a │ a │ c │ a │ c │ …          filter: the category c
 *     remembered      └───── from ─── to ─────┘            (from, to], and the ends of the rows c and c
 */

/** Filters that are remembered, at most: those that were used last. */
const FILTERS = 256;
/** Characters of a filter that is remembered. */
const KEY_LENGTH = 4096;
/** Rows of a filter. One that matches more of them gets something for what it costs. */
const ROWS = 1000;

/** What is known of the rows after a position: up to `position` none matches, or if `isMatch` none but the one that ends there. */
export interface KnownStretch {
  readonly position: number;
  readonly isMatch: boolean;
}

export class Matches {
  #from = 0;
  #to = 0;
  /** In order. */
  #ends: number[] = [];

  /** Undefined if nothing is known. */
  after(position: number): KnownStretch | undefined {
    if (position < this.#from || position >= this.#to) return undefined;
    const end = this.#ends[this.#indexAfter(position)];
    return end === undefined ? { position: this.#to, isMatch: false } : { position: end, isMatch: true };
  }

  #indexAfter(position: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ends[middle] ?? 0) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Remembers a row that was looked at from `from` to its end. Only one stretch is remembered: the one that was read last. */
  note(from: number, end: number, isMatch: boolean): void {
    if (this.#ends.length === ROWS || (end <= this.#to && from >= this.#from)) return;
    if (from < this.#from || from > this.#to) {
      this.#from = from;
      this.#ends = [];
    }
    if (isMatch) this.#ends.push(end);
    this.#to = end;
  }
}

export class MatchMemory {
  readonly #known = new Map<string, Matches>();

  /** The rows have changed: a repair may put one row in the place of several. */
  forget(): void {
    this.#known.clear();
  }

  /** @param key equal for equal filters */
  of(key: string): Matches {
    const known = this.#known.get(key) ?? new Matches();
    if (key.length > KEY_LENGTH) return known;
    // The map is in the order of use.
    this.#known.delete(key);
    this.#known.set(key, known);
    for (const [oldest] of this.#known) {
      if (this.#known.size <= FILTERS) break;
      this.#known.delete(oldest);
    }
    return known;
  }
}
