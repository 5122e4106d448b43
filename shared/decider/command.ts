/**
 * Commands: what an app asks a decider for. A device keeps a command with the pending commit that was decided for it, and sends both. An edge
 * that has the decider decides the command itself, and takes the events for what the device expects.
 *
 * A command has an id, which is its idempotency key in its stream. The events that were decided for it keep it in their metadata, under a name
 * that no app can write. So whoever reads an event knows of which command it is, however it was decided.
 */
import type { EventMetadata } from "../event/event.ts";
import { type Json, sameJson } from "../json.ts";

/** A command as it is stored with the pending commit that was decided for it, and as it is sent. */
export interface PendingCommand {
  /** A UUID in lower case. */
  readonly id: string;
  /** The decider's name. */
  readonly decider: string;
  /** The version of the decider. It is 0 if an earlier version of Headwater stored the command: then any version of the decider decides it. */
  readonly version: number;
  /** The command as it was handed over, as JSON. */
  readonly data: Json;
}

/** Why a command was refused: what `decide` threw. */
export interface CommandRefusal {
  /** Of the error, e.g. `Error`. */
  readonly name: string;
  /** For the person. */
  readonly message: string;
  /** The error's own `data`; null if it has none, or one that is no JSON. */
  readonly data: Json;
}

/** The name in an event's metadata. */
const COMMAND_ID = "$commandId";

/** The command for which an event was decided; undefined if there was none. */
export function commandIdOf({ metadata }: { readonly metadata?: EventMetadata | undefined }): string | undefined {
  const id = metadata?.[COMMAND_ID];
  return typeof id === "string" ? id : undefined;
}

/** Whether two events have the same metadata, whatever command they were decided for: who appends an event that was read can't write it. */
export function sameMetadata(a: EventMetadata, b: EventMetadata): boolean {
  if (a[COMMAND_ID] === b[COMMAND_ID]) return sameJson(a, b);
  return sameJson(withCommandId(a, undefined), withCommandId(b, undefined));
}

/** The metadata without a command's id, and with this one. */
export function withCommandId(given: EventMetadata, commandId: string | undefined): EventMetadata {
  const { [COMMAND_ID]: known, ...metadata } = given;
  if (known === commandId) return given;
  return commandId === undefined ? metadata : { ...metadata, [COMMAND_ID]: commandId };
}

/** A command as a device has stored it. An earlier version of Headwater had fewer fields. */
export type StoredCommand = PendingCommand | { readonly decider: string; readonly command: Json };

/** @param events that were decided for it */
export function toPendingCommand(
  stored: StoredCommand | undefined,
  [first]: readonly { readonly id: string }[],
): PendingCommand | undefined {
  if (stored === undefined || "id" in stored) return stored;
  return { id: first?.id ?? "", decider: stored.decider, version: 0, data: stored.command };
}
