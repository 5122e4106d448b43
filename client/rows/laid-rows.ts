/**
 * The rows of a projection with the events that are not folded into its stored rows yet, in memory. What these events are is read once, and
 * then what has changed since: the database says which groups of the outbox that were, whoever changed them, in whichever tab.
 *
 *     query ──► what has changed, in one transaction ──► overlay ──► stored rows that it is for? ──► result
 *       ▲                                                                    │ no
 *       └── once more; from the beginning if they are others ◄───────────────┘
 */
import { Overlay } from "../../shared/device/overlay.ts";
import {
  type AnyProjection,
  type Folded,
  type FoundRow,
  foldFrom,
  isOfCopy,
  overlaid,
  type RowQuery,
  UNFOLDED,
} from "../../shared/device/projection.ts";
import type { RecordedEvent } from "../../shared/event/event.ts";
import { type FeedFilter, readerFilter } from "../../shared/feed-filter.ts";
import type { StoreInternals } from "../internals.ts";
import { followed, stretchIn } from "../storage/confirmed.ts";
import { pendingEvents, type ReadTx, replicaOf } from "../storage/device-log.ts";
import { entriesOf, type StoredGroup } from "../storage/groups.ts";
import { type GroupsSince, groupsSince, NOTHING_SEEN, type OutboxSeen } from "../storage/outbox.ts";
import { coalesced } from "../tools/coalesced.ts";
import { IS_DEVELOPMENT } from "../tools/development.ts";
import type { RowDatabase, StoredRows } from "./row-database.ts";

/** The most confirmed events after the checkpoint that are folded in memory, and the rest of a page. What is behind them follows later. */
const BEHIND = 1000;

/** What is in memory, and what it is of. */
interface Laid extends OutboxSeen {
  readonly overlay: Overlay;
  /** What was seen on another one may never have been written. */
  readonly connection: object;
  /** Of the replica, as JSON: if it is another one, the device may hold other events before the cursor. */
  readonly copy: string;
  /** The checkpoint of the stored rows when the overlay was made. */
  readonly folded: Folded;
  /** False if the stored rows are of another copy or scope: the overlay has all rows. */
  readonly isOverStored: boolean;
  /** The position up to which confirmed events are in the stored rows or in the overlay. */
  readonly position: number;
  /** How many confirmed events were folded in memory since the stored rows had all of them. */
  readonly behind: number;
}

/** Events that were read of one moment. */
interface Unfolded extends Omit<Laid, "overlay">, GroupsSince {
  readonly confirmed: readonly RecordedEvent[];
}

export class LaidRows {
  readonly #internals: StoreInternals;
  readonly #projection: AnyProjection;
  readonly #filter: FeedFilter;
  readonly #rows: RowDatabase;
  #laid: Laid | undefined;
  /** The last checkpoint that a query has found. The overlay follows with the next change: it must not change while rows are read for it. */
  #checkpoint = 0;
  readonly #update = coalesced(async () => {
    while (!(await this.#advance()));
  });

  constructor(internals: StoreInternals, projection: AnyProjection, rows: RowDatabase) {
    this.#internals = internals;
    this.#projection = projection;
    this.#filter = readerFilter(projection);
    this.#rows = rows;
  }

  /** @throws what `key`, `evolve` and upcasters throw for an event that is not folded into the stored rows */
  async query(query: RowQuery): Promise<FoundRow<unknown>[]> {
    for (;;) {
      await this.#update();
      const found = await this.#find(query);
      if (found !== undefined) return found;
    }
  }

  /** @returns undefined if the stored rows are not those that the overlay is for */
  async #find(query: RowQuery): Promise<FoundRow<unknown>[] | undefined> {
    for (let most = query.limit ?? Number.POSITIVE_INFINITY; ; most *= 2) {
      const { found, checkpoint } = await this.#rows.find(query, most);
      const laid = this.#laid;
      if (laid === undefined || !this.#isFor(laid, laid.overlay, checkpoint)) return undefined;
      const { rows } = laid.overlay;
      const result = overlaid(query, laid.isOverStored ? found : [], !laid.isOverStored || found.length < most, rows);
      // The app may change what it gets.
      if (result !== undefined) return result.map((row) => (rows.has(row.key) ? structuredClone(row) : row));
    }
  }

  /** Whether an overlay is for stored rows with this checkpoint. If they are others, or far ahead of it, what is in memory is discarded. */
  #isFor({ folded, isOverStored, position }: Omit<Laid, "overlay">, overlay: Overlay, checkpoint: Folded): boolean {
    const isAhead = isOverStored && checkpoint.position > position + BEHIND;
    if (foldFrom(folded, checkpoint).isAnew || checkpoint.position < overlay.checkpoint || isAhead) {
      this.#laid = undefined;
      return false;
    }
    this.#checkpoint = checkpoint.position;
    return !isOverStored || checkpoint.position <= position;
  }

  /** @returns false if something was changed meanwhile, so that it has to be called again */
  async #advance(): Promise<boolean> {
    const folded = this.#laid?.folded ?? (await this.#rows.checkpoint());
    const before = this.#laid;
    if (before === undefined) this.#checkpoint = folded.position;
    const read = await this.#internals.database.run((db) => this.#read(db.transaction(["events", "meta"], "readonly"), db, folded, before));
    if (read === undefined) this.#laid = undefined;
    if (read === undefined || this.#laid !== before) return false;
    const overlay = before?.overlay ?? new Overlay(this.#projection, IS_DEVELOPMENT);
    overlay.moveCheckpoint(read.isOverStored ? this.#checkpoint : 0);
    const confirmed = read.confirmed.map((event) => this.#internals.read(event));
    const groups = read.groups.map((group) => [group.key, this.#pendingOf(group)] as const);
    const lacking = overlay.lacking([...confirmed, ...groups.flatMap(([, events]) => events)]);
    let stored: StoredRows = { rows: new Map(), checkpoint: UNFOLDED };
    if (read.isOverStored && lacking.size > 0) {
      stored = await this.#rows.rowsOf(lacking);
      if (this.#laid !== before || !this.#isFor(read, overlay, stored.checkpoint)) return false;
    }
    // If `evolve` throws, some events are folded in, and others not.
    this.#laid = undefined;
    overlay.change({ confirmed, groups, stored: stored.rows, storedAt: stored.checkpoint.position });
    this.#laid = { ...read, overlay };
    return true;
  }

  /** What has changed since `laid`; if it is undefined, all. @returns undefined if `laid` is of something else */
  async #read(tx: ReadTx, connection: object, folded: Folded, laid: Laid | undefined): Promise<Unfolded | undefined> {
    const [replica, outbox] = await Promise.all([replicaOf(tx), groupsSince(tx, laid ?? NOTHING_SEEN)]);
    const { log, resets, scope, backfills } = replica;
    const copy = JSON.stringify([log, resets, scope, backfills]);
    if (outbox === undefined || (laid !== undefined && (laid.connection !== connection || laid.copy !== copy))) return undefined;
    const { start, isAnew } = foldFrom(folded, replica);
    let { isOverStored, position, behind } = laid ?? { isOverStored: !isAnew, position: start.position, behind: 0 };
    if (isOverStored && this.#checkpoint >= position) behind = 0;
    let confirmed: RecordedEvent[] = [];
    const filter = followed(this.#filter, replica);
    while (position < replica.position && behind <= BEHIND) {
      const { events, end } = await stretchIn(tx, { after: position, upTo: replica.position }, filter);
      confirmed.push(...events);
      behind += events.length;
      position = end;
    }
    // Until the rows are built again, all rows of another scope are better than some.
    if (!isOverStored && position < replica.position && isOfCopy(folded, replica)) {
      if (laid !== undefined) return undefined;
      [confirmed, isOverStored, position] = [[], true, Number.POSITIVE_INFINITY];
    }
    return { connection, copy, folded, isOverStored, position, behind, confirmed, ...outbox };
  }

  #pendingOf(group: StoredGroup): RecordedEvent[] {
    const { stream, content } = this.#filter;
    const events = entriesOf(group, stream).flatMap(pendingEvents);
    return events.filter((event) => content?.(event) ?? true).map((event) => this.#internals.read(event));
  }
}
