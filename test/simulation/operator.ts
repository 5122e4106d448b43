/** The operator of the edge: keeps copies, and restores one of them some day, or wipes the store. Each time the log is read first. */
import type { Edge, EdgeStore, StoreCopy } from "./edge.ts";
import type { Ground } from "./ground.ts";

export class Operator {
  readonly #ground: Ground;
  readonly #edge: Edge;
  readonly #store: EdgeStore;
  #copy: StoreCopy | undefined;
  /** Streams may hold what their log does not, and not know of it. */
  mustVerify = false;

  constructor(ground: Ground, edge: Edge, store: EdgeStore) {
    this.#ground = ground;
    this.#edge = edge;
    this.#store = store;
  }

  start(): void {
    const { faults } = this.#ground;
    if (this.#isNeeded()) this.#keepCopies();
    faults.recur("wipe-store", () => this.#replaceStore(undefined));
    faults.recur("restore-store", () => this.#copy !== undefined && this.#replaceStore(this.#copy));
    faults.recur("wipe-log", () => this.#replaceLog(undefined));
    faults.recur("restore-log", () => this.#copy !== undefined && this.#replaceLog(this.#copy));
  }

  #isNeeded(): boolean {
    const { faults } = this.#ground.params;
    return faults["restore-store"] !== undefined || faults["restore-log"] !== undefined;
  }

  #keepCopies(): void {
    const { scheduler, random, params } = this.#ground;
    scheduler.after(random.wait((params.minutes * 60_000) / 6), () => {
      this.#copy = this.#edge.copy(this.#store);
      this.#keepCopies();
    });
  }

  #replaceStore(copy: StoreCopy | undefined): boolean {
    this.#observe("store", copy);
    this.#edge.replaceStore(this.#store, copy);
    if (copy === undefined) this.#copy = undefined;
    return true;
  }

  #replaceLog(copy: StoreCopy | undefined): boolean {
    this.#observe("log", copy);
    this.#store.replaceLog(copy?.log);
    // A copy of streams that hold more than the log that stands there now is of no use.
    this.#copy = undefined;
    this.verify();
    this.mustVerify = true;
    return true;
  }

  /** Restarts everything. Streams learn from whoever reads them that their log holds less than they do. */
  verify(): void {
    this.#edge.deploy();
  }

  #observe(part: "store" | "log", copy: StoreCopy | undefined): void {
    const before = [...this.#store.data.events];
    const head = copy?.log.events.at(-1)?.position ?? 0;
    this.#ground.observe({ kind: "replaced", store: this.#store.id, part, before, copiedAt: copy?.at ?? null, head });
  }
}
