/**
 * Whether a page of the feed is what the edge has recorded. What the edge has read of its storage it has checked itself. The device checks
 * everything from there to here.
 *
 *     the page's digest, of its events' content ── made again of what came ── differs ──► damaged
 *     the mark at the cursor ── the ids of the page's events ──► the mark at the page's position ── differs ──► events are missing, or others
 *
 * The digest covers every page. The marks cover a page that has all events from the cursor on, as the pages of a device that follows
 * everything do.
 *
 * Invariants (numbers of docs/architecture.md):
 *  8. a recorded event does not change on its way to the device.
 */
import { StorageDamagedError } from "../errors.ts";
import { pageDigestOf } from "../event/digest.ts";
import { isMark, markAfter, START_MARK } from "../mark.ts";
import type { FeedPage } from "../wire/wire.ts";
import type { PageRequest, Replica } from "./replica.ts";

/** The error if the page is not to be applied; undefined if it is as the edge recorded it, as far as the edge says. */
export function damageOf(
  { mark, position }: Pick<Replica, "mark" | "position">,
  page: FeedPage,
  { after, isBackfill }: Pick<PageRequest, "after" | "isBackfill">,
): StorageDamagedError | undefined {
  const details = { position: after + 1 };
  if (page.digest !== undefined && page.digest !== pageDigestOf(page.events)) {
    const message = `The events of the feed from position ${after + 1} on have changed since the edge digested them. The page is not applied, and is requested again.`;
    return new StorageDamagedError(message, details);
  }
  const before = isBackfill || after !== position ? null : position === 0 ? START_MARK : mark;
  const hasAll = page.events.length === page.position - after;
  if (before === null || !isMark(before) || page.mark === undefined || !hasAll) return undefined;
  if (
    markAfter(
      before,
      page.events.map(({ id }) => id),
    ) === page.mark
  )
    return undefined;
  const message = `The events of the feed from position ${after + 1} on are not those of the edge's log. The page is not applied, and is requested again.`;
  return new StorageDamagedError(message, details);
}
