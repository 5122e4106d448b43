/** A tab of an app in one of its versions: `test/support/versions.ts`. */
import { openStore, type Status, type Store, type StoreOptions } from "../../client/index.ts";
import { notUpcasting, one, two, upcasting } from "../support/versions.ts";

/** Of the app: before it had deciders, version 1, version 2, and version 2 of somebody who has forgotten the upcaster. */
export type AppName = "before deciders" | "1" | "2" | "2 without upcaster";

const APPS: Readonly<Record<AppName, Partial<StoreOptions>>> = {
  "before deciders": { eventTypes: notUpcasting() },
  "1": { deciders: [one], eventTypes: notUpcasting() },
  "2": { deciders: [two], eventTypes: upcasting() },
  "2 without upcaster": { deciders: [two], eventTypes: notUpcasting() },
};

interface Chosen {
  readonly token?: string;
  readonly newerEvents?: "pass" | "stop";
}

export class Tab {
  #store: Store | undefined;
  #app: AppName = "1";
  /** Types of the events that this version does not know. */
  readonly unknown: string[] = [];

  async open(app: AppName, name: string, url: string, { token, newerEvents = "pass" }: Chosen = {}): Promise<void> {
    this.#app = app;
    this.#store = await openStore({
      name,
      ...APPS[app],
      newerEvents,
      onUnknownEvent: ({ type, schemaVersion }) => this.unknown.push(`${type} ${schemaVersion}`),
      sync: { url, pollEvery: 300, timeout: 3_000, ...(token !== undefined && { token: () => token }) },
    });
  }

  /** Takes units from a shelf, by the command of this version. */
  async take(streamId: string, wanted: number): Promise<void> {
    await (this.#app === "1" ? this.#opened.handle(streamId, one, wanted) : this.#opened.handle(streamId, two, { wanted }));
  }

  /** Takes them as the app did before it had commands. */
  async append(streamId: string, units: number): Promise<void> {
    await this.#opened.appendToStream(streamId, [{ type: "Taken", data: { units, decidedBy: 0 } }], { expectedVersion: "any" });
  }

  /** Shows a shelf, as its events come. */
  watch(streamId: string): void {
    this.#opened.live(streamId, one).subscribe(() => undefined);
  }

  /** Gives the command of the first conflict once more. */
  async rebase(): Promise<void> {
    await this.#opened.conflicts()[0]?.rebase();
  }

  /** The state of a shelf, as this version folds it. */
  async left(streamId: string): Promise<number> {
    return (await this.#opened.aggregateStream(streamId, this.#app === "1" ? one : two)).state.left;
  }

  /** What the person sees. */
  shown(): Pick<Status, "connection" | "pending"> & { readonly conflicts: readonly string[]; readonly problem: string | null } {
    const { connection, pending, problem } = this.#opened.status;
    return { connection, pending, conflicts: this.#opened.conflicts().map(({ reason }) => reason), problem: problem?.code ?? null };
  }

  get #opened(): Store {
    if (this.#store === undefined) throw new Error("open it first");
    return this.#store;
  }
}

/** As a version of Headwater does that has a newer form of the database: tabs of this one let go of it. */
export function upgradeDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1_000);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
  });
}

declare global {
  interface Window {
    tab: Tab;
    upgradeDatabase: typeof upgradeDatabase;
  }
}

window.tab = new Tab();
window.upgradeDatabase = upgradeDatabase;
