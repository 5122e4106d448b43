/**
 * What is stored of a feed socket, in its attachment. The Worker makes it when the socket opens, and sends it to the log in a header. The log
 * answers in a header which log it is. And the messages themselves.
 */
import type * as v from "valibot";
import type { Reach } from "../../shared/edge/grants.ts";
import { InvalidRequestError } from "../../shared/errors.ts";
import { type FeedQuery, parseMessage, socketMessage } from "../../shared/wire/wire.ts";
import { logFault } from "../report/journal.ts";
import type { CompleteQuery } from "./feed-page.ts";

export interface FeedSession {
  readonly store: string;
  /** The URL that opened the socket. */
  readonly address: string;
  /** The filters of that URL. */
  readonly filter: FeedQuery;
  /** Headers of the handshake that may contain credentials; the new ones after a renewal. */
  readonly headers: readonly (readonly [string, string])[];
  readonly actor: string | null;
  readonly reach: Reach;
  /** When the credentials expire, in milliseconds since 1970; null: they are valid as long as the checks pass. */
  readonly expiresAt: number | null;
  /** When the credentials were last checked, in milliseconds since 1970. */
  readonly checkedAt: number;
  /** The pull that waits for its page; null if there is none. */
  readonly pull: CompleteQuery | null;
}

/** Headers of the handshake, with the newest credentials. */
export function headersOf({ headers }: FeedSession): Headers {
  return new Headers(headers.map(([name, value]): [string, string] => [name, value]));
}

const HEADER = "x-headwater-session";

/** Headers of the request that opens the socket at the log. The session is JSON in percent-encoding, since headers are ASCII. */
export function sessionHeaders(session: FeedSession): Record<string, string> {
  return { upgrade: "websocket", [HEADER]: encodeURIComponent(JSON.stringify(session)) };
}

/** The session in such a request. */
export function sessionOf({ headers }: Request): FeedSession {
  return JSON.parse(decodeURIComponent(headers.get(HEADER) ?? ""));
}

/** The log's id and its last position, when the socket opened. */
export interface LogPlace {
  readonly log: string;
  readonly head: number;
}

const PLACE_HEADER = "x-headwater-log";

/** A header of the log's response to the request that opens the socket. */
export function placeHeaders(place: LogPlace): Record<string, string> {
  return { [PLACE_HEADER]: JSON.stringify(place) };
}

/** The place in such a response; undefined if the log's object is of a version that sends none. */
export function placeOf({ headers }: Response): LogPlace | undefined {
  const text = headers.get(PLACE_HEADER);
  return text === null ? undefined : JSON.parse(text);
}

/** What a reader sends. @throws InvalidRequestError */
export function readMessage(message: string): v.InferOutput<typeof socketMessage> {
  return parseMessage(socketMessage, parseJson(message));
}

/** Where a fault happened, for the log lines. */
export const PLACE = "feed-socket";

/** A message to a closed socket is lost, like one that is on its way when the socket closes. */
export function send(socket: WebSocket, message: string | object): void {
  try {
    socket.send(typeof message === "string" ? message : JSON.stringify(message));
  } catch (error) {
    if (socket.readyState === WebSocket.OPEN) logFault(PLACE, error);
  }
}

function parseJson(message: string): unknown {
  try {
    return JSON.parse(message);
  } catch (error) {
    throw new InvalidRequestError("The message is not valid JSON.", { field: "message" }, { cause: error });
  }
}
