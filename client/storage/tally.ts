/**
 * Counts what exists on this device alone, beside the database: a loss of the database can be told only by what is not in it. The tab has
 * the count in memory, and localStorage keeps it from one start to the next, if there is one: workers have none.
 *
 * localStorage outlives an eviction in Chromium, a database that the browser found broken, and `indexedDB.deleteDatabase` by other code. It
 * is gone together with the database if a person clears all data of the site, and if Firefox or Safari evict it:
 * `docs/decisions/0039-devices-tell-what-they-lost.md`.
 */
import type { IDBPDatabase } from "idb";
import { type Count, type DatabaseIdentity, MOST_STREAMS, parseCounts, withLosses } from "../../shared/device/loss.ts";
import { sameJson } from "../../shared/json.ts";
import { newId } from "../tools/new-id.ts";
import type { Schema } from "./database.ts";
import { identityOf, type WriteTx, whole } from "./device-log.ts";
import type { Platform } from "./idb.ts";

/** What a count is made of. */
export type Counted = Pick<Count, "commits" | "since" | "streamIds">;

/** Milliseconds until localStorage is written: an append does not wait for it, and a commit that is confirmed at once costs nothing. */
const DELAY = 50;

const NOTHING: Counted = { commits: 0, since: null, streamIds: [] };

export class Tally {
  readonly #platform: Platform;
  readonly #name: string;
  readonly #personNow: () => string | null;
  readonly #countAgain: () => Promise<void>;
  /** What was beside the database when this tab last read or wrote it. */
  #seen: string | null = null;
  /** Of the database that was open last. */
  #identity: DatabaseIdentity | undefined;
  #counted = NOTHING;
  /** Until then, changes of the count mean nothing. */
  #isCounted = false;
  #isEnded = false;
  /** To be kept beside the database; undefined before the first count of the database that is open. */
  #next: readonly Count[] | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param name of the database
   * @param personNow whom the database belongs to
   * @param countAgain counts the database again: another tab has counted what this one may not have heard of
   */
  constructor(platform: Platform, name: string, personNow: () => string | null, countAgain: () => Promise<void>) {
    this.#platform = platform;
    this.#name = name;
    this.#personNow = personNow;
    this.#countAgain = countAgain;
  }

  /** Losses of databases before the one that is open, also those that the app has dismissed. */
  get losses(): readonly Count[] {
    return this.#identity?.losses ?? [];
  }

  /** Whether the database that is open was counted: one that is begun anew holds nothing of what was counted before. */
  get isCounted(): boolean {
    return this.#isCounted;
  }

  /** The id of the database that is open; undefined before the first one was opened. */
  get database(): string | undefined {
    return this.#identity?.id;
  }

  /** A connection was opened: finds out whether it leads to the database that was counted. What is lost is stored before anything else. */
  async identify(db: IDBPDatabase<Schema>): Promise<void> {
    this.#seen = this.#stored();
    const kept = parseCounts(this.#seen);
    const counts = this.#identity === undefined ? kept : [...kept, ...this.losses, this.#count(this.#identity)];
    const read = await identityOf(db.transaction(["meta"], "readonly"));
    const isKnown = read !== undefined && withLosses(read, counts) === read;
    const identity = isKnown ? read : await changeIdentity(db, (before) => withLosses(before, counts));
    if (identity.id !== this.#identity?.id) {
      this.#counted = NOTHING;
      this.#isCounted = false;
      this.#next = undefined;
    }
    this.#identity = identity;
  }

  /** The identity was read or written again. What comes late, of a database that is no longer open, does not count. */
  learn(identity: DatabaseIdentity | undefined): void {
    if (identity?.id === this.#identity?.id) this.#identity = identity;
  }

  /** The database was counted: what `count` gets next is of it. */
  recount({ since, streamIds }: Omit<Counted, "commits">): void {
    this.#isCounted = true;
    this.#counted = { ...this.#counted, since, streamIds: streamIds.slice(0, MOST_STREAMS) };
  }

  /** This tab has appended. */
  appended(streamIds: readonly string[]): void {
    if (streamIds.length === 0) return;
    const counted = this.#counted.commits === 0 ? NOTHING : this.#counted;
    const { since, streamIds: before } = counted;
    const all = new Set([...before, ...streamIds]);
    this.#counted = { ...counted, since: since ?? new Date().toISOString(), streamIds: [...all].slice(0, MOST_STREAMS) };
  }

  /**
   * How many there are has changed. It may be 0 for a moment: what is pending and what the edge has taken change one after the other. So
   * their streams are forgotten with the next append.
   */
  count(commits: number): void {
    this.#set({ ...this.#counted, commits });
  }

  /** The database is deleted on purpose, which is no loss. */
  end(): void {
    this.#isEnded = true;
    this.#next = [];
    this.#write();
  }

  /** No more is counted in this tab. */
  close(): void {
    if (this.#timer !== undefined && !this.#isBehind(this.#stored())) this.#write();
    clearTimeout(this.#timer);
    this.#isEnded = true;
  }

  #stored(): string | null {
    return withStorage(this.#platform, (storage) => storage.getItem(keyOf(this.#name)));
  }

  /** Whether another tab has counted more commits of the same database since this one has looked. */
  #isBehind(stored: string | null): boolean {
    const other = stored === this.#seen ? undefined : parseCounts(stored).find(({ database }) => database === this.database);
    return (other?.commits ?? 0) > this.#counted.commits;
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    const stored = this.#stored();
    if (stored !== this.#seen) {
      this.#seen = stored;
      await this.#countAgain();
    }
    if (!this.#isEnded) this.#write();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const counts = this.#next ?? [];
    this.#seen = counts.length === 0 ? null : JSON.stringify(counts);
    if (this.#seen === null) forgetTally(this.#platform, this.#name);
    else withStorage(this.#platform, (storage) => storage.setItem(keyOf(this.#name), this.#seen ?? ""));
  }

  #set(counted: Counted): void {
    if (!this.#isCounted || this.#isEnded || this.#identity === undefined) return;
    this.#counted = counted;
    const left = this.losses.filter(({ isDismissed }) => isDismissed !== true);
    this.#keep(counted.commits === 0 ? left : [...left, this.#count(this.#identity)]);
  }

  #count({ id }: DatabaseIdentity): Count {
    return { ...this.#counted, database: id, person: this.#personNow() };
  }

  /** What has not changed here is not written again. */
  #keep(counts: readonly Count[]): void {
    if (this.#next !== undefined && sameJson(this.#next, counts)) return;
    this.#next = counts;
    if (withStorage(this.#platform, () => true)) this.#timer ??= setTimeout(() => void this.#flush(), DELAY);
  }
}

/** @param name of a database of which nothing is left to count, or that is deleted on purpose */
export function forgetTally(platform: Platform, name: string): void {
  withStorage(platform, (storage) => storage.removeItem(keyOf(name)));
}

/** Changes the identity that the database stores, or gives it one. @returns it as it is then */
export async function changeIdentity(
  db: IDBPDatabase<Schema>,
  change: (before: DatabaseIdentity) => DatabaseIdentity,
): Promise<DatabaseIdentity> {
  const tx: WriteTx = db.transaction(["meta"], "readwrite", { durability: "strict" });
  return whole(tx, async () => {
    const stored = await identityOf(tx);
    // A database of an earlier version has none.
    const after = change(stored ?? newIdentity());
    if (after !== stored) await tx.objectStore("meta").put(after, "identity");
    return after;
  });
}

export function newIdentity(): DatabaseIdentity {
  return { id: newId(), losses: [] };
}

const KEY = "headwater:";

/** @param name of a database */
function keyOf(name: string): string {
  return KEY + name;
}

/** The names of the databases that were counted. */
export function talliedIn(platform: Platform): string[] {
  const keys = withStorage(platform, (storage) => Object.keys(storage)) ?? [];
  return keys.filter((key) => key.startsWith(KEY)).map((key) => key.slice(KEY.length));
}

function withStorage<T>(platform: Platform, use: (storage: Storage) => T): T | null {
  try {
    const { localStorage } = platform;
    return localStorage === undefined || localStorage === null ? null : use(localStorage);
  } catch {
    // The browser denies it, or it is full. The tab still has the count in memory.
    return null;
  }
}
