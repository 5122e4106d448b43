/** What the stand-in gets from its surroundings: the time, and what goes wrong. */

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs something later. @returns a function that cancels it */
  after(milliseconds: number, run: () => void): () => void;
}

/** What goes wrong. Each function is called at each occasion. */
export interface PlatformFaults {
  /** Milliseconds of a call to an object on its way there, or of its answer on the way back. */
  callLatency(): number;
  /** Milliseconds until writes are durable. Answers and outgoing calls of the object are held until then. */
  writeLatency(): number;
  /** What happens to a call of an object of a binding: it fails before it runs, its answer is lost after it ran, the object rejects it unseen, or nothing. */
  call(binding: string): CallFate;
  /** Whether a write finds no room. Then all writes of its implicit transaction are rolled back, and the object is reset. */
  isFull(object: string): boolean;
  /** Milliseconds by which an alarm is late. Default: 0. */
  alarmLatency?(): number;
}

export type CallFate = "ok" | "lost-before" | "lost-after" | "overloaded";

/** A platform on which nothing goes wrong, and nothing takes time. */
export const NO_FAULTS: PlatformFaults = {
  callLatency: () => 0,
  writeLatency: () => 0,
  call: () => "ok",
  isFull: () => false,
};
