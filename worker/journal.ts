/** One JSON line for each fault: what happened and where, without payloads and tokens. */
export function logFault(where: string, error: unknown, facts: Readonly<Record<string, string | number>> = {}): void {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  console.error(JSON.stringify({ level: "error", where, message, ...facts }));
}
