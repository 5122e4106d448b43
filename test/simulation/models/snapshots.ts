/** A stream's state from its snapshot, as `client/streams/aggregates.ts` implements it. */
import { fold } from "../../../shared/device/decider.ts";
import type { SnapshotFacts } from "../../../shared/device/snapshot.ts";
import type { SeenEvent } from "../checkers/observation.ts";
import type { Tab } from "../tab.ts";
import { writes } from "./derived.ts";
import { type Ledger, type LedgerVersion, ledgerOf } from "./ledger.ts";

export interface Snapshot extends SnapshotFacts {
  readonly state: Ledger;
}

/** Milliseconds until a tab has a moment to spare, at most. */
const IDLE = 5000;

export class Snapshots {
  readonly #tab: Tab;
  readonly #version: LedgerVersion;

  constructor(tab: Tab, version: LedgerVersion) {
    this.#tab = tab;
    this.#version = version;
  }

  look(): void {
    const { device, ground } = this.#tab;
    const streams = [...device.content.get("streams").keys()];
    if (streams.length > 0) this.#read(ground.beside.random.pick(streams));
  }

  #read(streamId: string): void {
    const { device, ground } = this.#tab;
    const { rules } = ground;
    const { content } = device;
    const decider = ledgerOf(this.#version);
    const kept = content.get("snapshots").get(streamId);
    const snapshot = kept !== undefined && rules.isUsable(kept, decider.version, content.version(streamId)) ? kept : undefined;
    if (snapshot !== undefined) ground.count("states read from a snapshot");
    const { state: from, version: folded } = snapshot ?? { state: decider.initialState, version: 0 };
    const events = device.events(streamId).filter(({ version }) => version > folded);
    const confirmed = events.filter(({ isPending }) => !isPending);
    const pending = events.slice(confirmed.length);
    const base = { state: fold(decider, from, bodies(confirmed)), version: confirmed.at(-1)?.version ?? folded };
    const state = fold(decider, base.state, bodies(pending));
    const version = base.version + pending.length;
    ground.observe({
      kind: "state",
      device: device.name,
      streamId,
      app: this.#version,
      state,
      version,
      events: device.events(streamId),
    });
    const worth = rules.snapshotOf(base, { state, version });
    if (rules.isWorthTaking(worth.version, folded)) this.#take(streamId, { ...worth, deciderVersion: this.#version });
  }

  #take(streamId: string, snapshot: Snapshot): void {
    const { device, ground } = this.#tab;
    const folded = device.content.get("replica");
    this.#tab.later(ground.beside.random.between(1, IDLE), () =>
      writes(ground, device, () =>
        device.storage.beside((content) => {
          const { rules } = ground;
          const before = content.get("snapshots").get(streamId);
          const streamVersion = content.version(streamId);
          const isLater =
            before !== undefined && rules.isUsable(before, snapshot.deciderVersion, streamVersion) && before.version >= snapshot.version;
          if (isLater || !rules.isUsable(snapshot, snapshot.deciderVersion, streamVersion)) return;
          if (!rules.isSameCopy(folded, content.get("replica"))) return;
          content.set("snapshots", new Map([...content.get("snapshots"), [streamId, snapshot]]));
          ground.count("snapshots taken");
        }),
      ),
    );
  }
}

function bodies(events: readonly SeenEvent[]) {
  return events.map(({ body }) => body);
}
