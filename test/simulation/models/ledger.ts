/** The folds of the worlds' apps: a stream's state, in two versions of the app, and the rows of a projection. */

import type { Projection } from "../../../shared/device/projection.ts";
import { readerFilter } from "../../../shared/feed-filter.ts";

interface Folded {
  readonly id: string;
  readonly type: string;
  readonly streamId: string;
}

export type LedgerVersion = 1 | 2;

/** The order of events counts, and each event once. */
export interface Ledger {
  readonly events: number;
  readonly digest: number;
}

const NO_LEDGER: Ledger = { events: 0, digest: 0 };

/** The second version of the app folds otherwise, and so keeps snapshots that the first can't use. */
export function ledgerOf(version: LedgerVersion) {
  return {
    name: "ledger",
    version,
    initialState: NO_LEDGER,
    evolve: ({ events, digest }: Ledger, { id }: Pick<Folded, "id">): Ledger => ({
      events: events + 1,
      digest: mixed(digest * version, id),
    }),
  };
}

/** The state after these events. The product's own fold is not asked: it may be what is wrong. */
export function ledgerAfter(version: LedgerVersion, events: readonly Pick<Folded, "id">[]): Ledger {
  const { initialState, evolve } = ledgerOf(version);
  return events.reduce(evolve, initialState);
}

type Turnover = Omit<Projection<Ledger, Folded>, "category"> & { readonly category: readonly string[] };

/** By stream and by type; a row ends with each seventh event, and begins anew. */
export const TURNOVER: Turnover = {
  name: "turnover",
  version: 1,
  category: ["Permit", "Stock"],
  key: ({ streamId, type }: Folded) => [streamId, `type ${type}`],
  evolve(row: Ledger | undefined, { id }: Folded): Ledger | undefined {
    const { events, digest } = row ?? NO_LEDGER;
    return events === 6 ? undefined : { events: events + 1, digest: mixed(digest, id) };
  },
};

export const OF_TURNOVER = readerFilter({ category: TURNOVER.category });

/** What the subscriptions want. */
export const SUBSCRIBED: readonly string[] = ["Permit", "Stock"];

export const OF_SUBSCRIPTION = readerFilter({ category: SUBSCRIBED });

function mixed(digest: number, id: string): number {
  let bits = digest | 0;
  for (let i = 0; i < id.length; i++) bits = Math.imul(bits ^ id.charCodeAt(i), 0x01000193);
  return bits;
}
