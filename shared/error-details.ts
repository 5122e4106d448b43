/** What an error says besides its code and its message. */
import type { CommandRefusal } from "./decider/command.ts";
import type { ExpectedVersion } from "./expected-version.ts";

/** What an error says besides its message, by name. The problem document of the wire has the same fields. */
export interface ErrorDetails {
  readonly field?: string | undefined;
  /** The stream that the error is about, if it is about one. */
  readonly streamId?: string | undefined;
  readonly expectedVersion?: ExpectedVersion | undefined;
  readonly actualVersion?: number | undefined;
  readonly eventId?: string | undefined;
  /** The stream's version that the error is about. */
  readonly version?: number | undefined;
  /** The position that the error is about. */
  readonly position?: number | undefined;
  readonly log?: string | undefined;
  readonly head?: number | undefined;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
  /** To whom, or to which address, the device's store belongs. */
  readonly owner?: string | undefined;
  /** Who, or which address, wanted to use it. */
  readonly given?: string | undefined;
  /** Why a command was refused. */
  readonly refusal?: CommandRefusal | undefined;
  /** The decider and its version that a command is for, e.g. `stock@2`. */
  readonly decider?: string | undefined;
}

/** All of them. */
export const DETAILS = [
  ...(["field", "streamId", "expectedVersion", "actualVersion", "eventId", "version", "position", "log", "head"] as const),
  ...(["retryAfter", "owner", "given", "refusal", "decider"] as const),
] satisfies (keyof ErrorDetails)[];
