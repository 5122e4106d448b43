/** A tab of an app in one of its versions: `test/support/versions.ts`. */
import { openStore, type Status, type Store } from "../../client/index.ts";
import { one, two, upcasting } from "../support/versions.ts";

export class Tab {
  #store: Store | undefined;
  #version: 1 | 2 = 1;

  async open(version: 1 | 2, name: string, url: string): Promise<void> {
    this.#version = version;
    const app = version === 1 ? { deciders: [one] } : { deciders: [two], eventTypes: upcasting() };
    this.#store = await openStore({ name, ...app, sync: { url, pollEvery: 300, timeout: 3_000 } });
  }

  /** Takes units from a shelf, by the command of this version. */
  async take(streamId: string, wanted: number): Promise<void> {
    await (this.#version === 1 ? this.#opened.handle(streamId, one, wanted) : this.#opened.handle(streamId, two, { wanted }));
  }

  /** The state of a shelf, as this version folds it. */
  async left(streamId: string): Promise<number> {
    return (await this.#opened.aggregateStream(streamId, this.#version === 1 ? one : two)).state.left;
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

declare global {
  interface Window {
    tab: Tab;
  }
}

window.tab = new Tab();
