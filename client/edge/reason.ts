/**
 * Why a request got no answer. In Node the reason is not in the error of `fetch`, which says "fetch failed", but in its causes, or among the
 * errors of an AggregateError if a host has several addresses. A browser tells a web page nothing.
 */

/** Codes of Node, OpenSSL and undici. Others are shown with their own message. */
const REASONS: readonly (readonly [codes: RegExp, reason: string])[] = [
  [/REFUSED/, "nothing accepts connections there"],
  [/NOTFOUND|EAI_/, "the host is unknown"],
  [/PROTO|SSL/, "it does not speak TLS, so the address may have to begin with http:"],
  [/CERT|VERIFY/, "its certificate is not trusted"],
  [/TIMEOUT|TIMEDOUT/, "the time for it ran out"],
  [/RESET|SOCKET|HPE_/, "it closed the connection, or speaks no HTTP; if it speaks TLS, the address must begin with https:"],
];

/** @returns a part of a sentence, e.g. `nothing accepts connections there (ECONNREFUSED)` */
export function reasonOf(error: unknown): string {
  let found: unknown = error;
  for (let next = error; next instanceof Error; next = next.cause ?? (next as Partial<AggregateError>).errors?.[0]) found = next;
  const { code, message = String(error) } = (found ?? {}) as { code?: string; message?: string };
  if (code !== undefined) return `${REASONS.find(([codes]) => codes.test(code))?.[1] ?? message} (${code})`;
  // What Chromium, Firefox and WebKit say.
  if (/^(Failed to fetch|NetworkError|Load failed)/.test(message)) return "the browser does not tell why; its console may";
  return message.replace(/\.$/, "");
}
