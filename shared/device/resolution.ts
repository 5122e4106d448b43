/**
 * What becomes of a pending commit whose exact expectation no longer holds, in this order: where it came from a command that is
 * decided again (`decider.ts`); the app's own rule, the table of event types that commute, and, where neither says otherwise, it is parked as a conflict that a person can see.
 *
 * The idea that operations which commute need no deciding is that of commutative replicated data types (Shapiro et al.,
 * 2011); here it is only ever declared by the app, never guessed.
 */

import type { EventBody } from "../event/event.ts";
import type { ExpectedVersion } from "../expected-version.ts";
import type { Version } from "../order.ts";
import type { PendingCommand } from "./decider.ts";

/** A pending commit and what stands against it. */
export interface Contested<E> {
  readonly streamId: string;
  readonly events: readonly EventBody[];
  readonly expectedVersion: ExpectedVersion;
  /** The stream's confirmed version now. */
  readonly actualVersion: Version;
  /** What others appended and a page has just brought, in version order. */
  readonly theirs: readonly E[];
  /** What the events were decided for; then `recorded` is all of the stream that is confirmed, in version order. */
  readonly command?: PendingCommand | undefined;
  readonly recorded: readonly E[];
  /** Pending events of the stream that stand before it. */
  readonly ahead: readonly (EventBody & { readonly version: Version })[];
}

export type Resolution =
  /** Behind theirs, as it is or with other events in its place. */
  | { readonly kind: "rebase"; readonly events?: readonly EventBody[] }
  | { readonly kind: "discard" }
  /** @param why a sentence for whoever sees the conflict */
  | { readonly kind: "park"; readonly why?: string };

export type Resolve<E> = (contested: Contested<E>) => Resolution;

/** Two event types that commute: either order means the same. `"*"` stands for every type. */
export type CommutingPair = readonly [type: string, other: string];

/** Behind theirs where each own event commutes with each of theirs; undefined where the table does not say so. */
export function byCommutation(
  pairs: readonly CommutingPair[],
  { events, theirs }: Pick<Contested<{ readonly type: string }>, "events" | "theirs">,
): Resolution | undefined {
  const matches = (pattern: string, type: string) => pattern === "*" || pattern === type;
  const commute = (a: string, b: string) => pairs.some(([x, y]) => (matches(x, a) && matches(y, b)) || (matches(x, b) && matches(y, a)));
  return events.every((mine) => theirs.every((other) => commute(mine.type, other.type))) ? { kind: "rebase" } : undefined;
}

/** The last rule, also where no other is known: a command needs its decider, which a tab may have been opened without. */
export function parkUndecided({ command }: { readonly command?: PendingCommand | undefined }): Resolution {
  return command === undefined
    ? { kind: "park" }
    : { kind: "park", why: `Open the store with the decider ${command.decider} to decide it again.` };
}
