/**
 * How the edge decides a command that was sent. The decider is the same as on the device. The stream may have more events by now, so its
 * decision may be another one: what the edge decides is recorded, and what the device has decided is only what it expects.
 *
 *     the same events come out ──► as they were sent
 *     other events             ──► those, under ids made from the command's
 *     `decide` throws          ──► refused: nothing is recorded
 *     what can't be recorded   ──► rejected
 *     `evolve` throws          ──► a fault of the app: nothing is recorded, and the command waits
 */
import { sameContent } from "../append.ts";
import type { CommandRefusal, PendingCommand } from "../decider/command.ts";
import { type AnyDecider, type DecidedEvent, decideCommand, fold } from "../decider/decider.ts";
import { ChangedInPlaceError } from "../decider/frozen.ts";
import { refusalOf } from "../decider/refusal.ts";
import { HeadwaterError, StorageDamagedError } from "../errors.ts";
import { withCauseOf } from "../event/causation.ts";
import type { EventBody, EventMetadata } from "../event/event.ts";
import { messageOf } from "../thrown.ts";

/** A command that was sent, and the events that the sender expects of it. */
export interface SentCommand {
  readonly command: PendingCommand;
  /** None, if the sender has not decided it. */
  readonly events: readonly EventBody[];
  /** Who the edge authenticated. */
  readonly actor: string | null;
  /** When it was given, if no event says so. */
  readonly occurredAt: string;
  /** What led to it, if no event says so. */
  readonly cause?: EventMetadata | undefined;
}

export type CommandDecision =
  | { readonly kind: "as-sent"; readonly state: unknown }
  /** @param state the stream's state with the events */
  | { readonly kind: "decided"; readonly events: readonly EventBody[]; readonly state: unknown }
  | { readonly kind: "refused"; readonly refusal: CommandRefusal }
  /** What was decided can't be recorded, e.g. because it is too large. */
  | { readonly kind: "unfit"; readonly error: HeadwaterError };

/** An app's code failed in a way that is no refusal: `evolve` threw, or `decide` changed what it got. */
export class DecisionFault extends Error {}

/**
 * @param state the stream's, of the events that it has
 * @param mayTakeIds whether the ids of the events that were sent are free in the stream
 * @param folded returns the state with events as they would be read again
 * @param complete makes complete events of the decided ones. @throws HeadwaterError if they can't be recorded
 * @throws DecisionFault
 */
export function decideSent(
  decider: AnyDecider,
  state: unknown,
  { command, events: sent, actor, occurredAt: now, cause }: SentCommand,
  mayTakeIds: boolean,
  folded: (events: readonly EventBody[]) => unknown,
  complete: (events: readonly (DecidedEvent & { readonly occurredAt: string })[]) => readonly EventBody[],
): CommandDecision {
  const occurredAt = sent[0]?.occurredAt ?? now;
  let decided: readonly DecidedEvent[];
  try {
    decided = decideCommand(decider, command.data, state, { actor, occurredAt, commandId: command.id });
  } catch (error) {
    // It works on a device in production, where nothing is frozen: no person can do anything about it.
    if (error instanceof ChangedInPlaceError) throw new DecisionFault(error.message, { cause: error });
    return { kind: "refused", refusal: refusalOf(error) };
  }
  let events: readonly EventBody[];
  try {
    events = complete(withCauseOf(decided, sent[0]?.metadata ?? cause).map((event) => ({ ...event, occurredAt })));
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error;
    return { kind: "unfit", error };
  }
  const isSame = mayTakeIds && events.length > 0 && events.length === sent.length && events.every((event, i) => isSent(event, sent[i]));
  const after = folded(isSame ? sent : events);
  return isSame ? { kind: "as-sent", state: after } : { kind: "decided", events, state: after };
}

/** The state with these events. @throws DecisionFault if `evolve` throws, or the initial state does; StorageDamagedError */
export function foldFaultless(decider: AnyDecider, state: () => unknown, events: Iterable<unknown>): unknown {
  try {
    return fold(decider, state(), events, true);
  } catch (error) {
    // It is nobody's fault.
    if (error instanceof StorageDamagedError) throw error;
    throw new DecisionFault(`evolve of the decider ${decider.name} failed: ${messageOf(error)}`, { cause: error });
  }
}

function isSent(event: EventBody, sent: EventBody | undefined): boolean {
  return sent !== undefined && sameContent(event, sent);
}
