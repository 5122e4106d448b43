/**
 * What came back for a request to the edge. Between a device and the edge there are strangers: proxies, load balancers, firewalls and login
 * pages of networks. They answer in the edge's place, with any status and any text. So a status alone says nothing about what was sent.
 * The edge is recognised by what only it writes: a message that matches its schema, or a problem document with a code of its own.
 *
 *     a message of the schema ──► message
 *     a problem document      ──► problem     only the edge judges what was sent
 *     anything else           ──► stranger    the request is sent again later, or less at once
 *     no answer               ──► nothing     the same
 */
import { type HeadwaterError, UnavailableError } from "../errors.ts";
import { isObject } from "../json.ts";
import { match, type Schema } from "./schema.ts";
import { errorFromProblem, explain } from "./wire.ts";

export type Answer<T> = { readonly kind: "message"; readonly message: T } | Failure;

/** Why a request has no result. */
export type Failure =
  /** The edge's own word, or a mistake that the device found itself. */
  { readonly kind: "problem"; readonly error: HeadwaterError } | Unheard;

/** What the edge says is not known. It may have done what was requested. */
export interface Unheard {
  readonly kind: "stranger" | "nothing";
  readonly error: UnavailableError;
  /** Whether less at once may get through, e.g. if a proxy rejects the body, or if the answer takes too long. */
  readonly mayBeTooMuch: boolean;
}

/** A response, as far as it says who it is from. */
export interface Received {
  readonly status: number;
  /** The address that a redirect leads to; undefined if the requested address itself has answered. */
  readonly leadsTo: string | undefined;
  readonly contentType: string | null;
  /** The header, in seconds. */
  readonly retryAfter: number | undefined;
  /** Undefined if the body broke off. */
  readonly text: string | undefined;
}

/** These are about the moment, and not about what was sent. */
const PASSING: readonly number[] = [407, 408, 425, 429];

/** Judges the answer to a request whose message matches `schema`. */
export function judge<T>(schema: Schema<T>, received: Received): Answer<T> {
  if (!isOk(received)) return judgeFailure(received);
  const value = parseJson(received.text);
  const result = match(schema, value);
  if (result.success) return { kind: "message", message: result.output };
  if (value === undefined || received.leadsTo !== undefined) return judgeFailure(received);
  const message = `This version of Headwater does not understand the answer: ${explain(result.issues)} Check the URL of the store, or update the app.`;
  return stranger(received, message, false);
}

/** Judges an answer that is not what was requested. */
export function judgeFailure(received: Received): Failure {
  const { status, leadsTo, text } = received;
  // What is at the end of a redirect got another request than the one that was sent: a POST becomes a GET.
  if (leadsTo !== undefined) return stranger(received, redirected(leadsTo), false);
  const value = parseJson(text);
  // The edge repeats the status in the document. Another API's error, which may have a code too, does not.
  const isEdges = !isOk(received) && isObject(value) && value["status"] === status;
  const problem = isEdges ? errorFromProblem(value) : undefined;
  if (problem !== undefined) return { kind: "problem", error: problem };
  if (text === undefined) return stranger(received, "The answer broke off.", true);
  return stranger(received, strange(received), isOk(received) || (status >= 400 && status < 500 && !PASSING.includes(status)));
}

function isOk({ status }: Received): boolean {
  return status >= 200 && status < 300;
}

function redirected(leadsTo: string): string {
  return `The URL of the store leads to ${leadsTo || "another address"}. Use the URL that it leads to: a request that writes does not follow redirects.`;
}

function strange({ status, contentType }: Received): string {
  const type = contentType === null ? "" : ` (${contentType.split(";")[0]})`;
  return `HTTP status ${status}${type} from something between this device and the edge, e.g. a proxy, a firewall or a login page of the network. Only the edge's own answer counts, so the request is sent again.`;
}

function stranger({ retryAfter }: Received, message: string, mayBeTooMuch: boolean): Unheard {
  return { kind: "stranger", error: new UnavailableError(message, retryAfter === undefined ? {} : { retryAfter }), mayBeTooMuch };
}

/** Undefined if the text is not JSON: the edge answers with JSON only. */
function parseJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
