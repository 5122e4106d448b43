/**
 * A random UUID. A page without a secure context, such as one on a laptop that a phone looks at by its address, has no `randomUUID`: there it
 * is that of an object URL (https://w3c.github.io/FileAPI/#unicodeBlobURL).
 */
export function newId(): string {
  if (crypto.randomUUID !== undefined) return crypto.randomUUID();
  const url = URL.createObjectURL(new Blob());
  URL.revokeObjectURL(url);
  return url.slice(-36);
}
