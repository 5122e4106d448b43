/**
 * A random UUID. A web page without a secure context has no `crypto.randomUUID`, for example a laptop's development server that a phone
 * opens by its IP address. There the UUID is taken from an object URL (https://w3c.github.io/FileAPI/#unicodeBlobURL).
 */
export function newId(): string {
  if (crypto.randomUUID !== undefined) return crypto.randomUUID();
  const url = URL.createObjectURL(new Blob());
  URL.revokeObjectURL(url);
  return url.slice(-36);
}
