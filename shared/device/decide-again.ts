/** A pending command is decided again, because others' events came before it. */
import type { PendingCommand } from "../decider/command.ts";
import { type CommandUpcasters, readCommand } from "../decider/command-versions.ts";
import { type AnyDecider, beginningOf, type DecidedEvent, decideCommand, fold } from "../decider/decider.ts";
import { refusalOf } from "../decider/refusal.ts";
import { DeciderVersionError, StoreClosedError } from "../errors.ts";
import { withCauseOf } from "../event/causation.ts";
import type { EventBody } from "../event/event.ts";
import { messageOf } from "../thrown.ts";
import { parkUndecided, type Resolution } from "./resolution.ts";

/** A pending command, and the stream on which it is decided again. */
export interface Again {
  readonly command?: PendingCommand | undefined;
  /** The events that were decided for it before. */
  readonly events: readonly EventBody[];
  /** All confirmed events of the stream, in version order. */
  readonly recorded: readonly EventBody[];
  /** The pending events after those and before the command's own. */
  readonly ahead: readonly EventBody[];
  /** Whom the device's store belongs to. */
  readonly actor: string | null;
  /** As of `fold`. */
  readonly freezes: boolean;
}

/**
 * Decides a command again on its stream as it is now. It parks the commit if the decider is unknown, refuses the command or decides
 * no event, and if `read` or `complete` throws. A command for a later version of the decider waits.
 *
 * @param upcasters of commands for earlier versions
 * @param read returns an event as the decider knows it. @throws if it can't
 * @param complete makes complete events of the decided ones. @throws if they can't be recorded
 */
export function decideAgain(
  deciders: ReadonlyMap<string, AnyDecider>,
  { command, events: [before], recorded, ahead, actor, freezes }: Again,
  upcasters: CommandUpcasters | undefined,
  read: (event: EventBody) => unknown,
  complete: (events: readonly DecidedEvent[]) => readonly EventBody[],
): Resolution {
  const decider = deciders.get(command?.decider ?? "");
  if (decider === undefined || command === undefined) return parkUndecided({ command });
  let isDeciding = false;
  try {
    const known = readCommand(command, decider, upcasters);
    if (known.kind === "newer") return { kind: "wait", error: isForLater(command, decider) };
    if (known.kind !== "readable") return { kind: "park", why: isForEarlier(command, decider) };
    const state = fold(decider, beginningOf(decider), [...recorded, ...ahead].map(read), freezes);
    isDeciding = true;
    const events = decideCommand(decider, known.data, state, { actor, occurredAt: before?.occurredAt ?? "", commandId: command.id });
    isDeciding = false;
    return events.length > 0
      ? { kind: "rebase", events: complete(withCauseOf(events, before?.metadata)) }
      : { kind: "park", why: "The command was decided again and changes nothing." };
  } catch (error) {
    // This tab stops: another one decides.
    if (error instanceof StoreClosedError) throw error;
    const why = `The command was decided again and refused: ${messageOf(error)}`;
    return isDeciding ? { kind: "park", why, refusal: refusalOf(error) } : { kind: "park", why };
  }
}

function isForLater({ decider: name, version }: PendingCommand, decider: AnyDecider): DeciderVersionError {
  const message = `A command is for version ${version} of the decider ${name}, and this tab has version ${decider.version}. It waits for a tab with the later version of the app: reload this one.`;
  return new DeciderVersionError(message, { decider: `${name}@${version}` });
}

function isForEarlier({ decider: name, version }: PendingCommand, decider: AnyDecider): string {
  return `The command is for version ${version} of the decider ${name}, and this app has version ${decider.version}: give defineEventTypes an upcaster for it.`;
}
