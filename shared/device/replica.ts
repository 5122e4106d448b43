/**
 * What a device knows of the log that it follows, and what a page of the feed does to that.
 *
 *     page of the feed ──► asked for with this cursor? ── no ──► stale: nothing is written
 *                                 │ yes
 *                                 └──► its events that the device wants, and the cursor behind them
 *
 * A device may follow a part of the store: its scope. Where the scope is widened, the new part's events stand behind the
 * cursor, so they are filled in first, each part by a cursor of its own; only then does the feed go on.
 *
 *     cursor ─────────────────────────────►│  goes on when nothing is left to fill in
 *     fill   ─────────► …                  │  from the beginning up to where the cursor was
 *
 * Invariants it upholds (numbers of the design's section 9):
 *  5. the cursor moves only together with the events that it passes, and from where the page was asked for;
 * 10. a page of another log is never applied.
 */
import type { ConfirmedEvent } from "../event/event.ts";
import { sameJson } from "../json.ts";
import { categoryOf } from "../stream-id.ts";
import type { FeedPage, FeedQuery } from "../wire/wire.ts";

export interface Replica {
  /** `device`: this store was never synced and orders its events itself. */
  readonly authority: "device" | "edge";
  /** The log's id; null before the first contact. */
  readonly log: string | null;
  /** The position up to which the feed is applied. */
  readonly position: number;
  /** The log's mark at that position (`mark.ts`); null where the edge told none. */
  readonly mark: string | null;
  /** The last position that the edge is known to have. */
  readonly head: number;
  /** How often the device has let go of its copy of the log (`continued.ts`). */
  readonly resets: number;
  /** What is followed. */
  readonly scope: Scope;
  /** Parts of the scope that came to it later, and are yet to be filled in. */
  readonly backfills: readonly Backfill[];
}

/** A part of the store whose events up to `upTo` are fetched separately. */
export interface Backfill {
  readonly within: Scope;
  /** How far it has come. */
  readonly position: number;
  /** Where the cursor stood when the part came to the scope. */
  readonly upTo: number;
}

/** Categories and streams, by their names; null: everything. */
export type Scope = readonly string[] | null;

export const NEW_REPLICA: Replica = {
  authority: "device",
  log: null,
  position: 0,
  mark: null,
  head: 0,
  resets: 0,
  scope: null,
  backfills: [],
};

/** What a page was asked for with. */
export interface PageRequest {
  readonly after: number;
  readonly within: Scope;
  /** It fills in what came to the scope later, instead of continuing the feed. */
  readonly isBackfill: boolean;
}

export type PageDecision =
  | { readonly kind: "stale" }
  | { readonly kind: "apply"; readonly replica: Replica; readonly events: readonly ConfirmedEvent[] };

/** The next page that the device lacks. */
export function nextPage({ position, scope, backfills }: Replica): PageRequest {
  const [backfill] = backfills;
  if (backfill === undefined) return { after: position, within: scope, isBackfill: false };
  return { after: backfill.position, within: backfill.within, isBackfill: true };
}

/** How that page is asked for at the edge. */
export function pageQuery({ log, position, mark }: Replica, { after, within, isBackfill }: PageRequest, limit: number): FeedQuery {
  return {
    after,
    limit,
    log: log ?? undefined,
    mark: (log && mark) ?? undefined,
    // What is filled in must be of the history that stands on the device already (invariant 10).
    seen: isBackfill ? position : undefined,
    // A scope that is longer than an address may be is applied on the device alone.
    within: within === null || within.join().length > LONGEST_SCOPE ? undefined : within,
  };
}

/** Characters. The platform takes addresses of 16 KB. */
const LONGEST_SCOPE = 6000;

/** @param history as it stands in the transaction that will write what is decided */
export function decidePage(replica: Replica, page: FeedPage, request: PageRequest): PageDecision {
  const next = nextPage(replica);
  const isAsked = next.after === request.after && next.isBackfill === request.isBackfill && sameJson(next.within, request.within);
  if (!isAsked || (replica.log !== null && replica.log !== page.log)) return { kind: "stale" };
  const { log, position, head, mark = null } = page;
  const [backfill, ...rest] = replica.backfills;
  const last = backfill?.upTo ?? Number.POSITIVE_INFINITY;
  const events = page.events.filter((event) => event.position <= last && isWithin(next.within, event.streamId));
  const followed = { ...replica, authority: "edge", head } as const;
  if (backfill === undefined) return { kind: "apply", replica: { ...followed, log, position, mark }, events };
  const backfills = position >= backfill.upTo ? rest : [{ ...backfill, position }, ...rest];
  return { kind: "apply", replica: { ...followed, backfills }, events };
}

export function isWithin(scope: Scope, streamId: string): boolean {
  return scope === null || scope.includes(streamId) || scope.includes(categoryOf(streamId));
}
