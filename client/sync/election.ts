/**
 * Elects the one tab of a device that syncs, by the rules of `shared/device/leadership.ts`: a Web Lock where there are some, and
 * the lease in the database, which fences, and tells of a leader that froze with the lock in its hands.
 */
import type { IDBPDatabase } from "idb";
import { isAbandoned, type Lease, look, mayWrite, NOTHING_SEEN, nextBeat, nextTerm } from "../../shared/device/leadership.ts";
import { HeadwaterError, StorageFailedError, StoreFullError } from "../../shared/errors.ts";
import { type Database, type Schema, unlessStorage } from "../storage/database.ts";
import { leaseOf, type WriteTx, whole } from "../storage/device-log.ts";
import { pause } from "../tools/pause.ts";

/** How often a leader lets its beat be seen, and others look at it, in milliseconds. */
const BEAT = 2_000;
/** Before a tab that led, or was not let, stands again, in milliseconds. */
const AGAIN = 100;
/** Looks in a row that show the same beat. */
const PATIENCE = 4;

/**
 * What the leader does. Ends when there is nothing more to do, or with `fenced` when its term is over.
 *
 * @param deposed another tab has taken the lock
 */
export type Lead = (term: number, deposed: AbortSignal) => Promise<"done" | "fenced">;

export class Election {
  readonly #database: Database;
  readonly #lock: string;
  readonly #lead: Lead;
  readonly #onFailed: (error: HeadwaterError) => void;
  readonly #closing: AbortSignal;
  #isLeading = false;
  #isStealing = false;
  #seen = NOTHING_SEEN;

  /** @param onFailed told where this tab could lead and its storage does not let it */
  constructor(name: string, database: Database, lead: Lead, onFailed: (error: HeadwaterError) => void, closing: AbortSignal) {
    this.#database = database;
    this.#lock = `headwater:${name}`;
    this.#lead = lead;
    this.#onFailed = onFailed;
    this.#closing = closing;
  }

  /** Leads whenever this tab is elected, until the store is closed. */
  async stand(): Promise<void> {
    const looking = setInterval(() => void this.#look(), BEAT);
    try {
      while (!this.#closing.aborted) {
        await this.once();
        // Whatever ended it, it is not asked again at once.
        await pause(AGAIN, this.#closing);
      }
    } finally {
      clearInterval(looking);
    }
  }

  /** Waits to be elected, and leads until there is nothing more to do, or another tab leads. */
  once(): Promise<void> {
    return this.#hold({ signal: this.#closing });
  }

  /** Leads now, in the place of whoever does. */
  async steal(): Promise<void> {
    if (this.#isLeading || this.#isStealing) return;
    this.#isStealing = true;
    await this.#hold({ steal: true });
    this.#isStealing = false;
  }

  async #hold(options: LockOptions): Promise<void> {
    const deposed = new AbortController();
    let leading: Promise<void> | undefined;
    const lead = () => {
      leading = this.#leadOn(deposed.signal);
      return leading;
    };
    try {
      // Where there are no locks, tabs lead in turn, each fenced by the next.
      await (globalThis.navigator?.locks?.request(this.#lock, options, lead) ?? lead());
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      // Stolen, or given up because the store is being closed; anything else is the browser's refusal.
      if (error.name !== "AbortError") this.#onFailed(new StorageFailedError(error.message, {}, { cause: error }));
      deposed.abort();
      await leading;
    }
  }

  async #leadOn(deposed: AbortSignal): Promise<void> {
    const isOver = () => deposed.aborted || this.#closing.aborted;
    this.#isLeading = true;
    this.#isStealing = false;
    try {
      // Fenced with the lock in its hands, as by a reset: it takes a new term.
      while (!isOver() && (await this.#term(deposed)) === "fenced");
    } catch (error) {
      if (!(error instanceof HeadwaterError)) throw error;
      if (!isOver()) {
        this.#onFailed(error);
        await pause(BEAT, this.#closing);
      }
    } finally {
      this.#isLeading = false;
      this.#seen = NOTHING_SEEN;
    }
  }

  async #term(deposed: AbortSignal): Promise<"done" | "fenced"> {
    const { term } = await this.#takeTerm();
    const beating = setInterval(() => void this.#beat(term), BEAT);
    try {
      return await this.#lead(term, deposed);
    } finally {
      clearInterval(beating);
    }
  }

  /**
   * Where there is no room for a new term, the old one must do: pushing needs no room and makes some, and each write of sync holds
   * by itself against what another leader has done (`shared/device/replica.ts`, `shared/device/outbox.ts`).
   */
  async #takeTerm(): Promise<Lease> {
    try {
      return await this.#database.run((db) => changeLease(db, nextTerm));
    } catch (error) {
      if (!(error instanceof StoreFullError)) throw error;
      return this.#database.run(readLease);
    }
  }

  /** A sign of life, where somebody waits for one. */
  async #beat(term: number): Promise<void> {
    const waiting = (await globalThis.navigator?.locks?.query())?.pending ?? [];
    if (waiting.every(({ name }) => name !== this.#lock)) return;
    const beat = (lease: Lease) => (mayWrite(lease, term) ? nextBeat(lease) : lease);
    await this.#database.run((db) => changeLease(db, beat)).catch(unlessStorage);
  }

  async #look(): Promise<void> {
    if (this.#isLeading) return;
    const lease = await this.#database.run(readLease).catch(unlessStorage);
    if (lease === undefined || this.#isLeading) return;
    this.#seen = look(this.#seen, lease);
    if (!isAbandoned(this.#seen, PATIENCE)) return;
    this.#seen = NOTHING_SEEN;
    await this.steal();
  }
}

function readLease(db: IDBPDatabase<Schema>): Promise<Lease> {
  return leaseOf(db.transaction(["lease"], "readonly"));
}

async function changeLease(db: IDBPDatabase<Schema>, change: (lease: Lease) => Lease): Promise<Lease> {
  const tx: WriteTx = db.transaction(["lease"], "readwrite", { durability: "relaxed" });
  return whole(tx, async () => {
    const lease = change(await leaseOf(tx));
    await tx.objectStore("lease").put(lease, "leader");
    return lease;
  });
}
