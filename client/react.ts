/**
 * `headwater/react`: what a store shows, as hooks.
 *
 *     store.live, table.live ──► a LiveValue, kept as long as what it is asked for stays the same ──► useSyncExternalStore
 *
 * - A value is of what the component asks for now: with another stream or query it is `loading`, never what the one before showed.
 * - What is asked for is compared by what it says, so it may be written where it is used, as a new object in each render.
 */
import { useMemo, useSyncExternalStore } from "react";
import type { Folding } from "../shared/device/decider.ts";
import type { IndexField, RowQuery } from "../shared/device/projection.ts";
import type { LiveRows, Table } from "./rows/table.ts";
import type { Store } from "./store.ts";
import type { LiveState } from "./streams/live-state.ts";
import type { LiveValue } from "./tools/live-value.ts";

/** The value as it is, and again after each change. Hand over the same `LiveValue` in each render. */
export function useLive<T>(live: Pick<LiveValue<T>, "subscribe" | "getSnapshot">): T {
  return useSyncExternalStore(live.subscribe, live.getSnapshot, live.getSnapshot);
}

/** The stream's state as the decider folds it, pending events included. A decider is known by its name and version. */
export function useStreamState<State>(store: Pick<Store, "live">, streamId: string, decider: Folding<State>): LiveState<State> {
  const { name, version } = decider;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a decider of the same name and version folds the same
  return useLive(useMemo(() => store.live(streamId, decider), [store, streamId, name, version]));
}

/** The rows that a query finds, pending events included. */
export function useRows<Row, Index extends IndexField<Row>>(
  table: Pick<Table<Row, Index>, "live">,
  query: RowQuery<NoInfer<Index>> = {},
): LiveRows<Row> {
  const { index, equals, from, to, direction, limit } = query;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a query is all of its fields
  return useLive(useMemo(() => table.live(query), [table, index, equals, from, to, direction, limit]));
}
