/**
 * Throws when a thing that the code itself guarantees does not hold. For broken invariants only: what a caller, a disk
 * or a network can get wrong is answered with a typed error of `errors.ts`.
 */
export function assert(holds: unknown, message: string): asserts holds {
  if (!holds) throw new Error(`Broken invariant: ${message}`);
}

/** Closes a switch over a union: a new member without its case no longer compiles. */
export function unreachable(value: never): never {
  assert(false, JSON.stringify(value));
}
