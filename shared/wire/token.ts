/** Whether a value can be a bearer token: printable ASCII without spaces, as a header `authorization` can carry it. */
export function isToken(value: unknown): value is string {
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value);
}
