/** A web page with many devices. Each has a store of its own, and all record to the same streams. */
import { type Contested, openStore, type Status, type Store } from "../../client/index.ts";
import { Random } from "../support/random.ts";

export interface FleetOptions {
  readonly names: readonly string[];
  readonly url: string;
  readonly streams: readonly string[];
  readonly seed: number;
  /** Of a request, in milliseconds. */
  readonly timeout: number;
  readonly pollEvery: number;
}

/** What became of the commits that a device has recorded, by the name of each. */
export interface Account {
  readonly created: readonly string[];
  readonly conflicts: readonly string[];
  readonly discarded: readonly string[];
  readonly status: Omit<Status, "problem">;
}

interface Member {
  readonly store: Store;
  readonly created: string[];
  readonly discarded: Set<string>;
  readonly random: Random;
}

export class Fleet {
  #members: Member[] = [];
  #streams: readonly string[] = [];
  #isWriting = false;
  #writing: Promise<unknown> | undefined;

  async open({ names, url, streams, seed, timeout, pollEvery }: FleetOptions): Promise<void> {
    this.#streams = streams;
    this.#members = await Promise.all(
      names.map(async (name, i) => {
        const discarded = new Set<string>();
        // A browser has six connections to a host, and devices don't share them: each has a name of its own for the edge.
        const own = url.replace("127.0.0.1", `${name}.localhost`);
        const store = await openStore({
          name,
          sync: { url: own, timeout, pollEvery },
          onConflict: (contested) => settle(contested, discarded),
        });
        return { store, created: [], discarded, random: new Random(seed + i) };
      }),
    );
  }

  /** Every device records a commit now and then, until `rest()`. */
  write(): void {
    this.#isWriting = true;
    this.#writing = Promise.all(this.#members.map((member, i) => this.#writeAs(member, i)));
  }

  async rest(): Promise<void> {
    this.#isWriting = false;
    await this.#writing;
  }

  accounts(): Account[] {
    return this.#members.map(({ store, created, discarded }) => {
      const { problem: _, ...status } = store.status;
      const conflicts = store.conflicts().map(({ events }) => nameOf(events[0]?.data));
      return { created, conflicts, discarded: [...discarded], status };
    });
  }

  /** Each device's whole log, as text that tells every difference. */
  async logs(): Promise<string[]> {
    return Promise.all(
      this.#members.map(async ({ store }) => {
        const lines: string[] = [];
        for await (const { position, streamId, version, id } of store.readAll()) lines.push(`#${position} ${streamId}@${version} ${id}`);
        return lines.join("\n");
      }),
    );
  }

  async #writeAs({ store, created, random }: Member, device: number): Promise<void> {
    for (let n = 0; this.#isWriting; n++) {
      const commit = `${device}.${n}`;
      const streamId = this.#streams[random.between(1, this.#streams.length) - 1] ?? "";
      const events = Array.from({ length: random.between(1, 3) }, () => ({ type: "Marked", data: { commit } }));
      const version = await versionOf(store, streamId);
      // Half of them build on what this device knows; somebody else may have gone further.
      const expectedVersion = random.between(1, 2) === 1 ? (version === 0 ? "no-stream" : version) : "any";
      try {
        await store.appendToStream(streamId, events, { expectedVersion });
        created.push(commit);
      } catch (error) {
        // A page came in between: nothing was recorded.
        if (!(error instanceof Error) || !("actualVersion" in error)) throw error;
      }
      // The pace of the load: about one commit a second.
      await new Promise((resolve) => setTimeout(resolve, random.between(100, 1_900)));
    }
  }
}

/** A third is discarded, a third rebased, and the rest is for a person. */
function settle({ events }: Contested<unknown>, discarded: Set<string>): "discard" | "rebase" | undefined {
  const commit = nameOf(events[0]?.data);
  const third = Number(commit.split(".")[1]) % 3;
  if (third === 0) discarded.add(commit);
  return third === 0 ? "discard" : third === 1 ? "rebase" : undefined;
}

async function versionOf(store: Store, streamId: string): Promise<number> {
  try {
    return (await store.readStream(streamId, { direction: "backwards", limit: 1 })).version;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "stream-not-found") return 0;
    throw error;
  }
}

function nameOf(data: unknown): string {
  return typeof data === "object" && data !== null && "commit" in data ? String(data.commit) : "";
}

declare global {
  interface Window {
    fleet: Fleet;
  }
}

window.fleet = new Fleet();
