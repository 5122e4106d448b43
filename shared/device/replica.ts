/**
 * The replica: what a device stores about the log that it follows, and how a page of the feed changes it.
 *
 *     page of the feed ──► requested with this cursor? ── no ──► stale: nothing is written
 *                                 │ yes
 *                                 └──► its events within the scope, and the cursor after them
 *
 * A device may follow a part of the store, its scope. If the scope gets wider, the events of the new part are behind the cursor. They
 * are backfilled first, each part with a cursor of its own, and only then does the feed continue.
 *
 *     cursor   ─────────────────────────────►│  continues when nothing is left to backfill
 *     backfill ─────────► …                  │  from the beginning up to where the cursor was
 *
 * Invariants (numbers of docs/architecture.md):
 *  5. the cursor moves only together with the events that it passes, and only from where the page was requested;
 * 10. a page of another log is never applied.
 */
import type { ConfirmedEvent } from "../event/event.ts";
import { sameJson } from "../json.ts";
import { categoryOf } from "../stream-id.ts";
import type { FeedPage, FeedQuery } from "../wire/wire.ts";

export interface Replica {
  /** Who orders the events. `device`: the store was never synced, and the device orders them itself. */
  readonly authority: "device" | "edge";
  /** The log's id; null before the first contact. */
  readonly log: string | null;
  /** The position up to which the feed is applied. */
  readonly position: number;
  /** The log's mark at that position (`mark.ts`); null if the edge sent none. */
  readonly mark: string | null;
  /** The log's last position, as of the last page. */
  readonly head: number;
  /** The number of the device's copy of the log: it is raised each time that the device discards its copy (`same-copy.ts`). */
  readonly resets: number;
  /** The part of the store that the device follows. */
  readonly scope: Scope;
  /** Parts that were added to the scope later and are not completely backfilled yet. */
  readonly backfills: readonly Backfill[];
}

/** A part of the store whose events up to `upTo` are fetched separately. */
export interface Backfill {
  readonly within: Scope;
  /** The position up to which its events are fetched. */
  readonly position: number;
  /** The cursor's position when the part was added to the scope. */
  readonly upTo: number;
}

/** Names of categories and ids of streams; null: the whole store. */
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

/** The parameters with which a page was requested. */
export interface PageRequest {
  readonly after: number;
  readonly within: Scope;
  /** The page backfills a part that was added to the scope later, instead of continuing the feed. */
  readonly isBackfill: boolean;
}

export type PageDecision =
  | { readonly kind: "stale" }
  | { readonly kind: "apply"; readonly replica: Replica; readonly events: readonly ConfirmedEvent[] };

/** Whether the log holds events that the device has not fetched yet, as of the last page. */
export function isBehind({ position, head, backfills }: Replica): boolean {
  return position < head || backfills.length > 0;
}

/** The request for the next page that the device needs. */
export function nextPage({ position, scope, backfills }: Replica): PageRequest {
  const [backfill] = backfills;
  if (backfill === undefined) return { after: position, within: scope, isBackfill: false };
  return { after: backfill.position, within: backfill.within, isBackfill: true };
}

/** The query of the feed for that page. */
export function pageQuery({ log, position, mark }: Replica, { after, within, isBackfill }: PageRequest, limit: number): FeedQuery {
  return {
    after,
    limit,
    log: log ?? undefined,
    mark: log === null || mark === null ? undefined : mark,
    // Backfilled events must be of the history that the device already has (invariant 10).
    seen: isBackfill ? position : undefined,
    // If the scope is too long for a URL, only the device applies it.
    within: within === null || within.join().length > LONGEST_SCOPE ? undefined : within,
  };
}

/** The greatest length of a scope in a URL, in characters. The platform accepts URLs of 16 KB. */
const LONGEST_SCOPE = 6000;

/**
 * Which events of a page are stored, and the replica after them; or that the page is stale.
 *
 * @param replica as it is stored, read in the transaction that will write the decision
 */
export function decidePage(replica: Replica, page: FeedPage, request: PageRequest): PageDecision {
  const next = nextPage(replica);
  const isNext = next.after === request.after && next.isBackfill === request.isBackfill && sameJson(next.within, request.within);
  if (!isNext || (replica.log !== null && replica.log !== page.log)) return { kind: "stale" };
  const { log, position, head, mark = null } = page;
  const [backfill, ...rest] = replica.backfills;
  const last = backfill?.upTo ?? Number.POSITIVE_INFINITY;
  const events = page.events.filter((event) => event.position <= last && isWithin(next.within, event.streamId));
  const followed = { ...replica, authority: "edge", head } as const;
  if (backfill === undefined) return { kind: "apply", replica: { ...followed, log, position, mark }, events };
  const backfills = position >= backfill.upTo ? rest : [{ ...backfill, position }, ...rest];
  return { kind: "apply", replica: { ...followed, backfills }, events };
}

/** Whether the scope covers a stream, or a category. */
export function isWithin(scope: Scope, streamId: string): boolean {
  return scope === null || scope.includes(streamId) || scope.includes(categoryOf(streamId));
}
