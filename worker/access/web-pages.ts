/**
 * Web pages of other origins: which may use the store, and with which headers. A browser asks before it sends such a request, in a
 * preflight: https://fetch.spec.whatwg.org/#http-cors-protocol
 *
 *     Origin ── none ──► not a web page of another origin
 *        ├── not allowed ──► refused
 *        └── allowed ── OPTIONS ──► the preflight's answer: the browser compares it with what the page wants to send
 *                          └── else ──► the request, and the headers by which the page may read the response
 */
import type { EdgeEnv } from "../env.ts";
import { logSettingsFault } from "../report/journal.ts";

export type WebPage =
  | { readonly kind: "none" }
  | { readonly kind: "refused"; readonly reason: string }
  | {
      readonly kind: "preflight";
      readonly headers: Readonly<Record<string, string>>;
      /** Why the browser will not send the request; undefined if it will. */
      readonly reason: string | undefined;
    }
  | { readonly kind: "allowed"; readonly headers: Readonly<Record<string, string>> };

type PageSettings = Pick<EdgeEnv, "ALLOWED_ORIGINS" | "ALLOWED_HEADERS" | "ALLOW_CREDENTIALS" | "AUTH">;

const METHODS = ["GET", "POST"];
/** Methods that need no permission: https://fetch.spec.whatwg.org/#cors-safelisted-method */
const SAFELISTED = ["HEAD"];
/**
 * Headers that a page may send: those that the edge reads, and those by which tools trace a request. The edge ignores the latter, but a
 * tool adds them to every request of a page: https://www.w3.org/TR/trace-context/, https://www.w3.org/TR/baggage/
 */
const HEADERS = ["authorization", "content-type", "last-event-id", "traceparent", "tracestate", "baggage", "sentry-trace"];
const HEADER_NAME = /^[\w.-]+$/;
/** Seconds that a browser may keep the answer to a preflight. */
const MAX_AGE = 7200;
/** Characters of a reason: the request chooses a part of it. */
const REASON_SIZE = 300;

/** What of a request concerns the web page that it comes from. */
export function webPageOf(request: Request, settings: PageSettings): WebPage {
  const origin = request.headers.get("origin");
  if (origin === null) return { kind: "none" };
  if (!isAllowed(origin, request, settings)) {
    return { kind: "refused", reason: short(`The origin ${origin} is not allowed: add it to ALLOWED_ORIGINS.`) };
  }
  const sharing = {
    "access-control-allow-origin": origin,
    ...(allowsCredentials(settings) ? { "access-control-allow-credentials": "true" } : {}),
    vary: "origin",
  };
  if (request.method !== "OPTIONS") return { kind: "allowed", headers: { ...sharing, "access-control-expose-headers": "retry-after" } };
  const allowed = [...new Set([...HEADERS, ...listed(settings.ALLOWED_HEADERS).flatMap(toHeaderName)])];
  const headers = {
    ...sharing,
    "access-control-allow-methods": METHODS.join(", "),
    "access-control-allow-headers": allowed.join(", "),
    "access-control-max-age": String(MAX_AGE),
  };
  return { kind: "preflight", headers, reason: refusalOf(request.headers, allowed) };
}

/**
 * Compares the origin with `ALLOWED_ORIGINS`, each as a whole. If the setting is unset, the edge's own origin is allowed; with
 * `AUTH = "open"` also any origin on loopback, as a frontend's own development server has.
 */
function isAllowed(origin: string, { url }: Request, { ALLOWED_ORIGINS, AUTH }: PageSettings): boolean {
  const origins = listed(ALLOWED_ORIGINS);
  return origins.length === 0 ? origin === new URL(url).origin || (AUTH === "open" && isLoopback(origin)) : origins.includes(origin);
}

function isLoopback(origin: string): boolean {
  const url = URL.parse(origin);
  return (
    url !== null &&
    url.origin === origin &&
    (url.hostname === "localhost" || url.hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(url.hostname))
  );
}

/** A typo allows nothing. */
function allowsCredentials({ ALLOW_CREDENTIALS: given = "" }: PageSettings): boolean {
  if (!["true", "false", ""].includes(given)) {
    logSettingsFault('ALLOW_CREDENTIALS is neither "true" nor "false", so web pages cannot send cookies: correct it.');
  }
  return given === "true";
}

/** A `*` would allow every header only for requests without cookies, and not the header `authorization`. */
function toHeaderName(given: string): string[] {
  if (HEADER_NAME.test(given)) return [given.toLowerCase()];
  logSettingsFault(
    "ALLOWED_HEADERS has an entry that is not the name of a header, and the edge ignores it: list names, separated by commas.",
  );
  return [];
}

function refusalOf(headers: Headers, allowed: readonly string[]): string | undefined {
  const method = headers.get("access-control-request-method");
  if (method !== null && ![...METHODS, ...SAFELISTED].includes(method)) {
    return short(`The web page wants to send ${method}: a web page of another origin may send only ${METHODS.join(" and ")}.`);
  }
  const others = listed(headers.get("access-control-request-headers") ?? undefined).filter((name) => !allowed.includes(name.toLowerCase()));
  return others.length === 0
    ? undefined
    : short(`The web page wants to send headers that are not allowed: add them to ALLOWED_HEADERS: ${others.join(", ")}`);
}

function listed(given = ""): string[] {
  // A list in wrangler.toml is a list here too.
  return String(given)
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function short(reason: string): string {
  return reason.length <= REASON_SIZE ? reason : `${reason.slice(0, REASON_SIZE - 1)}…`;
}
