/**
 * Throws if a condition that the code itself guarantees does not hold. It is for broken invariants only. What a caller, a disk
 * or a network can get wrong throws a typed error of `errors.ts` instead.
 *
 * @throws Error "Broken invariant: …"
 */
export function assert(holds: unknown, message: string): asserts holds {
  if (!holds) throw new Error(`Broken invariant: ${message}`);
}

/** Closes a switch over a union: a new member of the union without a case does not compile. */
export function unreachable(value: never): never {
  assert(false, JSON.stringify(value));
}
