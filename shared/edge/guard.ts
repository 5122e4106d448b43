/**
 * Who may append what. A category is guarded if the edge has its decider: there, commands are decided by the edge, and only who may `append`
 * puts events there that no decider has decided.
 */

export interface Asked {
  /** Whether the edge has the decider of the stream's category. */
  readonly isGuarded: boolean;
  readonly hasCommand: boolean;
  /** By the caller's grants, on the stream. */
  readonly mayAppend: boolean;
  readonly mayHandle: boolean;
}

export type Passage =
  /** The events are appended as they are. */
  | "as-sent"
  /** The edge decides the command. */
  | "decided"
  /** A command is required, which an older version of an app does not send. */
  | "command-required"
  | "forbidden";

export function passageOf({ isGuarded, hasCommand, mayAppend, mayHandle }: Asked): Passage {
  if (isGuarded && hasCommand) return mayAppend || mayHandle ? "decided" : "forbidden";
  if (mayAppend) return "as-sent";
  return isGuarded && mayHandle ? "command-required" : "forbidden";
}
