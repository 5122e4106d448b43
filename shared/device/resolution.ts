/**
 * How a pending commit is resolved if its exact expectation no longer holds. The first of these that applies decides:
 *
 *  - the commit has a command: the command is decided again (`decider.ts`);
 *  - the app's own rule;
 *  - the table of event types that commute;
 *  - otherwise the commit is parked, and a person sees it as a conflict.
 *
 * The idea that operations which commute need no decision is from commutative replicated data types (Shapiro et al., 2011). Here
 * only the app declares which types commute; it is never guessed.
 */

import type { CommandRefusal, PendingCommand } from "../decider/command.ts";
import type { HeadwaterError } from "../errors.ts";
import type { EventBody } from "../event/event.ts";
import type { ExpectedVersion } from "../expected-version.ts";
import type { Version } from "../order.ts";

/** A pending commit, and the events that came before it. */
export interface Contested<E> {
  readonly streamId: string;
  readonly events: readonly EventBody[];
  /** The version that the commit was made on; if it was made on other commits that are contested, the version that the first of them was made on. */
  readonly expectedVersion: ExpectedVersion;
  /** The stream's confirmed version now. */
  readonly actualVersion: Version;
  /**
   * The events that others appended after the version that the commit expects, in version order, and those that the edge has decided for an
   * earlier command of this device. If the device was behind the log, earlier commits of this device that have been confirmed meanwhile are among
   * them.
   */
  readonly theirs: readonly E[];
  /** The command for which the events were decided. */
  readonly command?: PendingCommand | undefined;
  /** With a command, or if the commit was held: all confirmed events of the stream, in version order. */
  readonly recorded: readonly E[];
  /** The pending events of the stream before this commit. */
  readonly ahead: readonly (EventBody & { readonly version: Version })[];
}

export type Resolution =
  /** The commit moves after the others' events, with its own events or with `events` in their place. */
  | { readonly kind: "rebase"; readonly events?: readonly EventBody[] }
  | { readonly kind: "discard" }
  /** Its command is for a later version of the app: it waits until a tab with that version leads. */
  | { readonly kind: "wait"; readonly error: HeadwaterError }
  /** @param why a sentence for the person who sees the conflict @param refusal what `decide` threw, if the command was refused */
  | { readonly kind: "park"; readonly why?: string; readonly refusal?: CommandRefusal };

export type Resolve<E> = (contested: Contested<E>) => Resolution;

/** Two event types that commute: both orders have the same meaning. `"*"` matches every type. */
export type CommutingPair = readonly [type: string, other: string];

/** Moves the commit after the others' events if each of its events commutes with each of theirs; undefined if the table does not say so. */
export function byCommutation(
  pairs: readonly CommutingPair[],
  { events, theirs }: Pick<Contested<{ readonly type: string }>, "events" | "theirs">,
): Resolution | undefined {
  const matches = (pattern: string, type: string) => pattern === "*" || pattern === type;
  const commute = (a: string, b: string) => pairs.some(([x, y]) => (matches(x, a) && matches(y, b)) || (matches(x, b) && matches(y, a)));
  return events.every((mine) => theirs.every((other) => commute(mine.type, other.type))) ? { kind: "rebase" } : undefined;
}

/** The last rule. It also applies if a tab knows no other rule: a command needs its decider, and a tab may be opened without it. */
export function parkUndecided({ command }: { readonly command?: PendingCommand | undefined }): Resolution {
  return command === undefined
    ? { kind: "park" }
    : { kind: "park", why: `Open the store with the decider ${command.decider} to decide it again.` };
}
