/**
 * `IDBTransaction`. Its life, each line a task of its tab:
 *
 *     created ──► the task that created it has ended: no requests ──► complete
 *                  │ it waits for earlier transactions on its stores, then for the disk
 *                  └─► its requests are answered ──► its new ones are answered ──► … no new ones: committed ──► complete
 *
 * Requests that were made together are answered in one task, so a listener must be added to each of them before any is answered, as the
 * product does. A transaction is active until the task after the one that answered it. A browser
 * deactivates it between the two. So code that makes a request too late, but in the same virtual millisecond, is not caught.
 *
 * Faults:
 *
 * - `no-room`: a put or an add fails, or the transaction is aborted instead of committed, if it has put something. Deletes and reads succeed.
 * - `abort-write`: a readwrite transaction is aborted instead of committed. Its requests have succeeded by then.
 * - `lose-connection` when the first requests are answered: `Connection.lose`.
 * - `lose-connection` after the commit: everything is stored, but the transaction reports that it was aborted.
 *
 * Left out: reads that fail in a database that is open. The product can't tell them from a lost connection. Readonly transactions that fail at
 * their end, since nothing is lost by that.
 */
import type { Connection } from "./connection.ts";
import { DatabaseEvent, EventSource } from "./events.ts";
import { failure, must } from "./failure.ts";
import { ObjectStore } from "./object-store.ts";
import { leaveQueues, mayStart, type StoreData, type Undo, type Waiting } from "./records.ts";
import { errorEvent, type StoreRequest } from "./request.ts";

type Handler = ((event: DatabaseEvent) => void) | null;
export type Mode = "readonly" | "readwrite" | "versionchange";
export type Durability = "default" | "strict" | "relaxed";
type State = "active" | "inactive" | "committing" | "finished";

const ABORTED = { bubbles: true };

export class Transaction extends EventSource implements Waiting {
  readonly db: Connection;
  readonly mode: Mode;
  readonly durability: Durability;
  error: DOMException | null = null;
  oncomplete: Handler = null;
  onabort: Handler = null;
  onerror: Handler = null;
  state: State = "active";
  readonly scope: StoreData[];
  readonly isWriting: boolean;
  isStarted = false;
  /** True once it has put or added something. */
  hasPut = false;
  readonly undos: Undo[] = [];
  /** When its `complete` is due. */
  endsAt = 0;
  /** Called when a versionchange transaction has been committed or aborted, and again when its last event has been fired. */
  onEnd: ((isCommitted: boolean, isFired: boolean) => void) | undefined;
  /** True once everything is stored. Its last event may still be missing. */
  isCommitted = false;
  /** True if it fires no event when it ends. */
  #isSilent = false;
  #hasAnswered = false;
  /** True once the task that created it has ended. */
  #isCreated = false;
  #requests: StoreRequest[] = [];
  readonly #handles = new Map<StoreData, ObjectStore>();

  constructor(db: Connection, scope: StoreData[], mode: Mode, durability: Durability) {
    super();
    this.db = db;
    this.scope = scope;
    this.mode = mode;
    this.durability = durability;
    this.isWriting = mode !== "readonly";
    db.transactions.add(this);
    if (mode === "versionchange") return; // it has the database for itself, and the factory begins it
    for (const { queue } of scope) queue.push(this);
    db.tab.post(0, () => this.#created());
  }

  override get parent(): EventSource {
    return this.db;
  }

  get objectStoreNames(): readonly string[] {
    return this.db.namesOf(this.scope);
  }

  get [Symbol.toStringTag](): string {
    return "IDBTransaction";
  }

  objectStore(name: string): ObjectStore {
    must(this.state !== "finished", "InvalidStateError", "The transaction has finished.");
    const store = this.scope.find((one) => one.name === String(name));
    if (store === undefined) throw failure("NotFoundError", "The store is not in the scope of this transaction.");
    return this.handleOf(store);
  }

  handleOf(store: StoreData): ObjectStore {
    let handle = this.#handles.get(store);
    if (handle === undefined) {
      handle = new ObjectStore(this, store);
      this.#handles.set(store, handle);
    }
    return handle;
  }

  commit(): void {
    must(this.state === "active", "InvalidStateError", "The transaction is not active.");
    this.state = "committing";
  }

  abort(): void {
    must(this.state === "active" || this.state === "inactive", "InvalidStateError", "The transaction has ended.");
    this.abortWith(null);
  }

  assertActive(): void {
    must(this.state === "active", "TransactionInactiveError", "The transaction is not active.");
  }

  /** Adds a request, whose turn comes later. */
  enqueue<R extends StoreRequest>(request: R): R {
    this.#requests.push(request);
    return request;
  }

  #created(): void {
    this.#isCreated = true;
    if (this.state === "finished") return;
    if (this.state === "active") this.state = "inactive";
    if (this.#requests.length === 0) this.#commit();
    else this.start(true);
  }

  /** Begins, if the task that created it has ended, and no earlier transaction must end first. */
  start(isOwnTask = false): void {
    if (!this.#isCreated || this.isStarted || !mayStart(this, this.scope)) return;
    this.isStarted = true;
    const { tab } = this.db;
    const free = this.scope.reduce((time, { freeAt }) => Math.max(time, freeAt), 0);
    const wait = Math.max(0, free - tab.loop.now) + tab.faults.latency("read");
    if (isOwnTask && wait === 0) this.#answerFirst();
    else tab.post(wait, () => this.#answerFirst());
  }

  #answerFirst(): void {
    if (!this.#isOpen()) return;
    if (this.db.tab.faults.strikes("lose-connection")) this.db.lose();
    else this.#answer();
  }

  /** Answers the requests there are now, and then those that the listeners make. */
  #answer(): void {
    if (this.state === "inactive") this.state = "active";
    this.#hasAnswered = true;
    for (let left = this.#requests.length; left > 0 && this.#isOpen(); left--) {
      const request = this.#requests.shift();
      if (request !== undefined) this.#answerOne(request);
    }
    this.#next();
  }

  /** In the task after this one, the promises that this one has resolved have made their requests. */
  #next(): void {
    if (!this.#isOpen()) return;
    this.db.tab.post(0, () => {
      if (!this.#isOpen()) return;
      if (this.#requests.length > 0) this.#answer();
      else this.#commit();
    });
  }

  /** Runs the listeners of an upgrade, which make the first requests. */
  begin(dispatch: () => unknown[]): void {
    this.isStarted = true;
    this.state = "active";
    this.#afterListeners(dispatch());
    this.#next();
  }

  #answerOne(request: StoreRequest): void {
    let result: unknown;
    try {
      result = request.work();
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      request.settle(undefined, error);
      const event = errorEvent();
      this.#afterListeners(request.dispatch(event));
      if (!event.defaultPrevented && this.#isOpen()) this.abortWith(error);
      return;
    }
    this.#afterListeners(request.succeed(result));
  }

  #afterListeners(thrown: readonly unknown[]): void {
    if (thrown.length === 0) return;
    this.db.tab.report(thrown);
    if (this.#isOpen()) this.abortWith(failure("AbortError", "A listener threw an error."));
  }

  #isOpen(): boolean {
    return this.state !== "finished";
  }

  /** Whether it may hold up others. */
  get isOpen(): boolean {
    return this.#isOpen() && !this.isCommitted;
  }

  #commit(): void {
    const { tab } = this.db;
    const { faults } = tab;
    this.state = "committing";
    const isWritten = this.undos.length > 0;
    const kind = this.durability === "strict" || this.mode === "versionchange" ? "strict" : "relaxed";
    const wait = isWritten ? faults.latency(kind) : 0;
    if (this.hasPut && faults.strikes("no-room")) {
      return this.abortWith(failure("QuotaExceededError", "The disk has no room left."), wait);
    }
    if (isWritten && this.mode === "readwrite" && faults.strikes("abort-write")) {
      return this.abortWith(failure("UnknownError", "The disk failed to write the transaction."), wait);
    }
    this.endsAt = tab.loop.now + wait;
    this.isCommitted = true;
    if (isWritten) this.db.data.keep(this.undos, this.mode === "versionchange" ? "schema" : kind, this.endsAt, tab.loop.now);
    tab.post(wait, () => this.#fireEnd("complete"));
    this.#leave(this.endsAt);
    if (isWritten && this.mode === "readwrite" && faults.strikes("lose-connection")) this.db.lose();
    this.onEnd?.(true, false);
  }

  /** Undoes everything. The events follow. */
  abortWith(error: DOMException | null, wait = 0): void {
    this.error = error;
    const requests = this.#requests.splice(0);
    this.db.tab.post(wait, () => {
      const aborted = failure("AbortError", "The transaction was aborted.");
      for (const request of requests) {
        request.settle(undefined, aborted);
        this.db.tab.report(request.dispatch(errorEvent()));
      }
      this.#fireEnd("abort");
    });
    this.rollBack(wait);
    this.onEnd?.(false, false);
  }

  /** Ends the transaction, and undoes what it did. */
  rollBack(wait = 0): void {
    this.state = "finished";
    for (const undo of this.undos.reverse()) undo();
    this.#leave(this.db.tab.loop.now + wait);
  }

  /** The connection is lost: a transaction that had not begun fails its requests, but fires no event of its own. */
  lose(): void {
    if (this.state === "finished") return;
    const error = failure("UnknownError", "The connection to the database was lost.");
    if (this.isCommitted) {
      this.state = "finished";
      this.error = error;
      this.db.tab.post(0, () => this.#fireEnd("abort"));
      return;
    }
    this.#isSilent = this.#requests.length > 0 && !this.#hasAnswered;
    this.abortWith(error);
  }

  /**
   * Leaves the queues. `freeAt` is when the disk has finished with it. Its own end is posted before: a tab hears of it before it gets what a
   * later transaction has read, as in browsers.
   */
  #leave(freeAt: number): void {
    if (this.isWriting) for (const store of this.scope) store.freeAt = Math.max(store.freeAt, freeAt);
    leaveQueues(this, this.scope);
  }

  #fireEnd(type: "complete" | "abort"): void {
    if (!this.db.transactions.delete(this)) return; // it has been fired
    this.state = "finished";
    if (!this.#isSilent) this.db.tab.report(this.dispatch(new DatabaseEvent(type, type === "abort" ? ABORTED : {})));
    this.onEnd?.(type === "complete", true);
    this.db.closeIfIdle();
  }
}
