/** What was thrown, for people: an error's message, anything else as a text. An app may throw whatever it likes. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  try {
    return String(thrown);
  } catch {
    return "something that has no text"; // an object without a prototype
  }
}
