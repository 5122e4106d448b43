/** The rows of a projection, kept up to date with the feed, as `client/rows/projector.ts` and `row-database.ts` implement it. */

import { type Folded, foldRows, keysOfAll, overlaid, UNFOLDED } from "../../../shared/device/projection.ts";
import { isWithin, type Scope } from "../../../shared/device/replica.ts";
import type { Device } from "../device.ts";
import type { Tab } from "../tab.ts";
import { pause, writes } from "./derived.ts";
import { type Ledger, OF_TURNOVER, TURNOVER } from "./ledger.ts";

export interface Rows {
  readonly checkpoint: Folded;
  readonly rows: ReadonlyMap<string, Ledger>;
}

export const NO_ROWS: Rows = { checkpoint: UNFOLDED, rows: new Map() };

/** Events that are looked at together. */
const PAGE = 8;

export class Projector {
  readonly #tab: Tab;
  #isAtWork = false;

  constructor(tab: Tab) {
    this.#tab = tab;
  }

  look(): void {
    if (this.#isAtWork) return;
    this.#isAtWork = true;
    this.#foldPage();
  }

  #foldPage(): void {
    const { device, ground } = this.#tab;
    const { rules } = ground;
    const { checkpoint } = device.derived.rows.value;
    const replica = device.content.get("replica");
    if (replica.backfills.length > 0) return this.#rest();
    const { start, isAnew } = rules.foldFrom(checkpoint, replica);
    if (!isAnew && checkpoint.isReady && checkpoint.position >= replica.position) {
      // After a crash, and after a reset that nobody here has seen, the rows may be ahead of the feed for a while.
      if (checkpoint.position === replica.position) this.#query();
      return this.#rest();
    }
    this.#tab.later(pause(ground.beside), () => {
      if (!rules.isSameCopy(replica, device.content.get("replica"))) return this.#rest();
      const page = device.content
        .get("log")
        .filter(({ position }) => position > start.position)
        .slice(0, PAGE);
      if (rules.flushesBeforeRows()) device.storage.transact("strict", () => undefined);
      const end = page.length < PAGE ? replica.position : Math.min(page.at(-1)?.position ?? 0, replica.position);
      const events = page.filter(({ streamId, position }) => position <= replica.position && isOf(replica.scope, streamId));
      const after: Folded = { ...start, position: end, isReady: start.isReady || end >= replica.position };
      const folds = rules.rowWrites({ after, isAnew, events });
      this.#write(checkpoint, folds);
    });
  }

  #write(before: Folded, [next, ...rest]: readonly RowWrite[]): void {
    if (next === undefined) return this.#foldPage();
    const { device, ground } = this.#tab;
    this.#tab.later(ground.beside.random.between(1, 3), () => {
      const { rows: shelf } = device.derived;
      const isDone = writes(ground, device, () => {
        const { checkpoint, rows } = shelf.value;
        if (JSON.stringify(checkpoint) !== JSON.stringify(before)) return;
        const { after, isAnew, events } = next;
        if (isAnew && before !== UNFOLDED) ground.count("projections built anew");
        const folded = isAnew ? new Map<string, Ledger>() : new Map(rows);
        const keys = keysOfAll(TURNOVER, events);
        const touched = new Map([...keys].map((key) => [key, folded.get(key)]));
        for (const [key, row] of ground.rules.foldRows<Ledger>(TURNOVER, touched, events)) {
          if (row === undefined) folded.delete(key);
          else folded.set(key, row);
        }
        shelf.put({ checkpoint: after, rows: folded });
        ground.count("pages folded into rows");
      });
      if (isDone) this.#write(next.after, rest);
      else this.#rest();
    });
  }

  #rest(): void {
    this.#isAtWork = false;
  }

  /** All rows, as an app reads them, at a moment when the projection has caught up. */
  #query(): void {
    const { device, ground } = this.#tab;
    const { rows } = device.derived.rows.value;
    const pending = device.content
      .get("outbox")
      .filter(({ streamId }) => OF_TURNOVER.stream(streamId))
      .flatMap(({ streamId, events, confirmed }) => events.slice(confirmed).map((event) => ({ ...event, streamId })));
    const keys = keysOfAll(TURNOVER, pending);
    const laid = foldRows<Ledger>(TURNOVER, new Map([...keys].map((key) => [key, rows.get(key)])), pending);
    const stored = [...rows].map(([key, row]) => ({ key, row })).sort((a, b) => (a.key < b.key ? -1 : 1));
    ground.observe({
      kind: "rows",
      device: device.name,
      scope: device.content.get("replica").scope,
      rows: overlaid<Ledger>({}, stored, laid),
      confirmed: device.content.get("log"),
      pending,
    });
  }

  static unsettled(device: Device): readonly string[] {
    const { checkpoint } = device.derived.rows.value;
    const { position } = device.content.get("replica");
    const isThere = checkpoint.isReady && checkpoint.position === position;
    return isThere ? [] : [`has its projection at #${checkpoint.position} of #${position}`];
  }
}

function isOf(scope: Scope, streamId: string): boolean {
  return OF_TURNOVER.stream(streamId) && isWithin(scope, streamId);
}

/** What is written in one transaction. */
export interface RowWrite {
  readonly after: Folded;
  readonly isAnew: boolean;
  readonly events: readonly { readonly streamId: string }[];
}
