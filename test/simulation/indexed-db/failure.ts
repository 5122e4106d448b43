/** The errors of IndexedDB. They are real DOMExceptions, as the product recognizes them. */

export function failure(name: string, message: string): DOMException {
  return new DOMException(message, name);
}

/** Throws unless `condition` holds. */
export function must(condition: boolean, name: string, message: string): asserts condition {
  if (!condition) throw failure(name, message);
}
