/** What an app uses of a projection: queries of its rows, live rows, and its status. */

import { dequal } from "dequal";
import {
  type AnyProjection,
  type FoundRow,
  foldRows,
  type IndexField,
  type Projection,
  type RowQuery,
} from "../../shared/device/projection.ts";
import { readerFilter } from "../../shared/feed-filter.ts";
import { completeOptions } from "../../shared/options.ts";
import type { StoreInternals } from "../internals.ts";
import { followed, stretches } from "../storage/confirmed.ts";
import { readReplica } from "../storage/device-log.ts";
import { FOLD_OPTIONS, type FoldOptions, isUpTo } from "../streams/aggregates.ts";
import { IS_DEVELOPMENT } from "../tools/development.ts";
import { LiveValue } from "../tools/live-value.ts";
import { rerunOnChange } from "../tools/rerun-on-change.ts";
import type { ProjectionStatus, Projector } from "./projector.ts";

export interface LiveRows<Row> {
  readonly rows: readonly FoundRow<Row>[];
  readonly status: "loading" | "ready" | "failed";
  /** Why the rows can't be read, if `failed`; else undefined. The rows are then the last ones that were read. */
  readonly error: unknown;
}

export class Table<Row, Index extends IndexField<Row> = IndexField<Row>> {
  readonly #internals: StoreInternals;
  readonly #projection: Projection<Row, never, Index>;
  readonly #projector: Projector;

  /** @internal Use `store.project`. */
  constructor(internals: StoreInternals, projection: Projection<Row, never, Index>, projector: Projector) {
    this.#internals = internals;
    this.#projection = projection;
    this.#projector = projector;
  }

  /** How far the feed is folded into the rows. A new object after each change. */
  get status(): ProjectionStatus {
    return this.#projector.status;
  }

  /** The status as it changes. The same live value at each call. */
  liveStatus(): LiveValue<ProjectionStatus> {
    return this.#projector.liveStatus;
  }

  /** The row of a key, pending events included. */
  async get(key: string): Promise<Row | undefined> {
    return (await this.query({ equals: key }))[0]?.row;
  }

  /**
   * Rows in the order of an index, or of their keys if the query names no index. Pending events are included.
   *
   * @throws InvalidRequestError if the projection has no such index
   */
  async query(query: RowQuery<Index> = {}): Promise<readonly FoundRow<Row>[]> {
    // The rows of a projection are what its `evolve` returns.
    return (await this.#projector.query(query)) as FoundRow<Row>[];
  }

  /** The result of a query as it changes, for user interfaces. Many changes at once are one notification. */
  live(query: RowQuery<Index> = {}): LiveValue<LiveRows<Row>> {
    let shown: LiveRows<Row> = { rows: [], status: "loading", error: undefined };
    return new LiveValue<LiveRows<Row>>(shown, (set) => {
      const watch = (listener: () => void) => {
        const ends = [this.#internals.watch(listener), this.#projector.watch(listener)];
        return () => {
          for (const end of ends) end();
        };
      };
      return rerunOnChange({ watch, ending: this.#internals.ending }, async (isWanted) => {
        const next = await this.query(query).then(
          (rows): LiveRows<Row> => ({ rows, status: "ready", error: undefined }),
          (error: unknown): LiveRows<Row> => ({ ...shown, status: "failed", error }),
        );
        if (!isWanted() || (next.error === shown.error && next.status === shown.status && dequal(next.rows, shown.rows))) return;
        shown = next;
        set(next);
      });
    });
  }

  /** The rows as they were up to a position or a time of recording (ISO 8601), inclusive: folded from the first event, in memory. */
  upTo(end: { readonly position: number } | { readonly time: string }): Promise<ReadonlyMap<string, Row>> {
    return rowsUpTo(this.#internals, this.#projection, end);
  }

  /** Resolves when all events that the device holds are folded into the rows. @throws the reason if they can't be folded */
  caughtUp(): Promise<void> {
    return this.#projector.caughtUp();
  }
}

async function rowsUpTo<Row, Index extends IndexField<Row>>(
  internals: StoreInternals,
  projection: Projection<Row, never, Index>,
  upTo: Exclude<NonNullable<FoldOptions["upTo"]>, { version: number }>,
): Promise<Map<string, Row>> {
  completeOptions({ upTo }, FOLD_OPTIONS);
  const isWanted = isUpTo(upTo);
  const replica = await internals.database.run(readReplica);
  let rows = new Map<string, unknown>();
  for await (const stretch of stretches(internals.database, replica, { after: 0 }, followed(readerFilter(projection), replica))) {
    const events = stretch.filter((event) => isWanted({ ...event, pending: false })).map((event) => internals.read(event));
    rows = foldRows(projection as AnyProjection, rows, events, IS_DEVELOPMENT);
  }
  return new Map([...rows].filter((entry): entry is [string, Row] => entry[1] !== undefined));
}
