/**
 * Elects the one tab of a device that syncs, by the rules of `shared/device/leadership.ts`. It uses a Web Lock, if the browser has Web
 * Locks, and the lease in the database. The lease fences former leaders, and shows if a leader is frozen while it holds the lock.
 */
import type { IDBPDatabase } from "idb";
import { isAbandoned, type Lease, look, mayWrite, NOTHING_SEEN, nextBeat, nextTerm } from "../../shared/device/leadership.ts";
import { StorageFailedError, StoreFullError } from "../../shared/errors.ts";
import { type Database, type Schema, unlessStorage } from "../storage/database.ts";
import { leaseOf, type WriteTx, whole } from "../storage/device-log.ts";
import { pause } from "../tools/pause.ts";

/** How often a leader writes its beat, and other tabs check it, in milliseconds. */
const BEAT = 2_000;
/** Milliseconds before a tab that led, or failed to lead, becomes a candidate again. */
const AGAIN = 100;
/** After so many checks in a row that show the same beat, the leader counts as frozen. */
const PATIENCE = 4;

/**
 * The leader's work. Resolves with `done` when there is nothing more to do, or with `fenced` when its term is over.
 *
 * @param deposed is aborted when another tab has taken the lock
 */
export type Lead = (term: number, deposed: AbortSignal) => Promise<"done" | "fenced">;

export class Election {
  readonly #database: Database;
  readonly #lock: string;
  readonly #lead: Lead;
  readonly #onFailed: (error: unknown) => void;
  readonly #closing: AbortSignal;
  #isLeading = false;
  #isStealing = false;
  #seen = NOTHING_SEEN;

  /**
   * @param onFailed is called if this tab is elected and can't lead, e.g. because its storage fails, or if the browser denies the lock. The
   *   tab becomes a candidate again
   */
  constructor(name: string, database: Database, lead: Lead, onFailed: (error: unknown) => void, closing: AbortSignal) {
    this.#database = database;
    this.#lock = `headwater:${name}`;
    this.#lead = lead;
    this.#onFailed = onFailed;
    this.#closing = closing;
  }

  /**
   * Is a candidate, and leads whenever this tab is elected, until the store is closed.
   *
   * @param admitted resolves when this tab may be a candidate
   */
  async campaign(admitted = async (): Promise<void> => undefined): Promise<void> {
    const checking = setInterval(() => void this.#checkLeader(), BEAT);
    try {
      while (!this.#closing.aborted) {
        await admitted();
        await this.once();
        // Whatever ended the term, the tab waits before it is a candidate again.
        await pause(AGAIN, this.#closing);
      }
    } finally {
      clearInterval(checking);
    }
  }

  /** Waits until this tab is elected, and leads until there is nothing more to do, or another tab leads. */
  once(): Promise<void> {
    return this.#hold({ signal: this.#closing });
  }

  /** Takes the lock from the tab that leads, and leads now. */
  async steal(): Promise<void> {
    if (this.#isLeading || this.#isStealing) return;
    this.#isStealing = true;
    await this.#hold({ steal: true });
    this.#isStealing = false;
  }

  /** Never rejects: whatever fails is reported, and the caller is a candidate again. */
  async #hold(options: LockOptions): Promise<void> {
    const deposed = new AbortController();
    let leading: Promise<void> | undefined;
    const lead = () => {
      leading = this.#leadOn(deposed.signal);
      return leading;
    };
    try {
      // Without Web Locks, each tab leads as soon as it is a candidate, and the next one fences it.
      await (globalThis.navigator?.locks?.request(this.#lock, options, lead) ?? lead());
    } catch (error) {
      // AbortError: the lock was stolen, or the store is being closed. For anything else, the browser denies the lock.
      if (!(error instanceof DOMException && error.name === "AbortError")) {
        const message = `The browser denies the Web Lock that elects the tab that syncs: ${String(error)}`;
        this.#onFailed(new StorageFailedError(message, {}, { cause: error }));
      }
      deposed.abort();
      await leading;
    }
  }

  async #leadOn(deposed: AbortSignal): Promise<void> {
    const isOver = () => deposed.aborted || this.#closing.aborted;
    this.#isLeading = true;
    this.#isStealing = false;
    try {
      // Fenced while it still holds the lock, e.g. by a reset: it takes a new term.
      while (!isOver() && (await this.#term(deposed)) === "fenced");
    } catch (error) {
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
   * If the disk has no room for a new term, the leader uses the old one. Pushing needs no room and frees some. Every write of sync is safe
   * by itself, whatever another leader has written (`shared/device/replica.ts`, `shared/device/outbox.ts`).
   */
  async #takeTerm(): Promise<Lease> {
    try {
      return await this.#database.run((db) => changeLease(db, nextTerm));
    } catch (error) {
      if (!(error instanceof StoreFullError)) throw error;
      return this.#database.run(readLease);
    }
  }

  /** Writes the sign of life, if another tab waits for the lock. */
  async #beat(term: number): Promise<void> {
    const isAwaited = await globalThis.navigator?.locks?.query().then(
      ({ pending = [] }) => pending.some(({ name }) => name === this.#lock),
      () => true, // the browser denies the answer, and another tab may wait all the same
    );
    if (!isAwaited) return;
    const beat = (lease: Lease) => (mayWrite(lease, term) ? nextBeat(lease) : lease);
    await this.#database.run((db) => changeLease(db, beat)).catch(unlessStorage);
  }

  /** Takes the lead if the leader is frozen. */
  async #checkLeader(): Promise<void> {
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
