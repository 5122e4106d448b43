/**
 * `headwater/react`: a store's live values as hooks.
 *
 *     store.live, table.live ──► a LiveValue, the same one while the arguments stay the same ──► useSyncExternalStore
 *
 * - A hook returns the value for the arguments of this render. With another stream or query it is `loading` first, and never the value of
 *   the stream or query before.
 * - A query is compared by its fields, and a decider by its name and version. So both may be written inline, as new objects in each render.
 */
import { useMemo, useSyncExternalStore } from "react";
import type { Folding } from "../shared/decider/decider.ts";
import type { IndexField, RowQuery } from "../shared/device/projection.ts";
import type { LiveRows, Table } from "./rows/table.ts";
import type { Store } from "./store.ts";
import type { LiveState } from "./streams/live-state.ts";
import type { LiveValue } from "./tools/live-value.ts";

/** Returns the current value, and renders again after each change. Pass the same `LiveValue` in each render. */
export function useLive<T>(live: Pick<LiveValue<T>, "subscribe" | "getSnapshot">): T {
  return useSyncExternalStore(live.subscribe, live.getSnapshot, live.getSnapshot);
}

/** The stream's state as the decider folds it, pending events included. Deciders with the same name and version count as the same. */
export function useStreamState<State>(store: Pick<Store, "live">, streamId: string, decider: Folding<State>): LiveState<State> {
  const { name, version } = decider;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a decider of the same name and version folds the same
  return useLive(useMemo(() => store.live(streamId, decider), [store, streamId, name, version]));
}

/** The rows that a query returns, pending events included. */
export function useRows<Row, Index extends IndexField<Row>>(
  table: Pick<Table<Row, Index>, "live">,
  query: RowQuery<NoInfer<Index>> = {},
): LiveRows<Row> {
  const { index, equals, from, to, direction, limit } = query;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a query is all of its fields
  return useLive(useMemo(() => table.live(query), [table, index, equals, from, to, direction, limit]));
}
