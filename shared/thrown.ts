/** A text for people about something that was thrown: an error's message, or any other value as a text. An app may throw any value. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  try {
    return String(thrown);
  } catch {
    return "a value that can't be shown as text"; // an object without a prototype
  }
}
