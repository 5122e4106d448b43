/** The Worker's side of the feed socket: opens it at the log, or reads it itself for a reader of server-sent events. */
import { InvalidRequestError } from "../../shared/errors.ts";
import { FEED_PROTOCOL, tokenOfProtocols } from "../../shared/wire/feed-socket.ts";
import { type Principal, readable } from "../access/access.ts";
import type { EdgeEnv } from "../env.ts";
import type { CompleteQuery } from "../log/feed-page.ts";
import { type FeedSession, type LogPlace, placeOf, sessionHeaders } from "../log/feed-session.ts";
import { callObject } from "../objects/calls.ts";
import { upgradeResponse, webSocketOf } from "../objects/platform.ts";

export function isUpgrade(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

export function wantsEventStream(request: Request): boolean {
  return (request.headers.get("accept") ?? "").split(",").some((type) => type.split(";", 1)[0]?.trim() === "text/event-stream");
}

/** A browser's WebSocket can't have headers, so it offers its token as a subprotocol. This moves it to `authorization`, like any token. */
export function withToken(request: Request): Request {
  if (!isUpgrade(request)) return request;
  const token = tokenOfProtocols(protocolsOf(request));
  if (token === undefined) return request;
  const headers = new Headers(request.headers);
  headers.set("authorization", `Bearer ${token}`);
  return new Request(request.url, { headers });
}

function protocolsOf(request: Request): string[] {
  const given = request.headers.get("sec-websocket-protocol") ?? "";
  return given.split(",").flatMap((protocol) => protocol.trim() || []);
}

export interface FeedConnection {
  readonly env: EdgeEnv;
  readonly store: string;
  readonly principal: Principal;
  /** With its token in `authorization`, as `withToken` returns it. */
  readonly request: Request;
  readonly query: CompleteQuery;
}

/** @throws InvalidRequestError for a WebSocket that offers other subprotocols only */
export async function openSocket(connection: FeedConnection, offered: Request): Promise<Response> {
  const protocols = protocolsOf(offered);
  if (protocols.length > 0 && !protocols.includes(FEED_PROTOCOL)) {
    throw new InvalidRequestError(`A feed socket has the subprotocol ${FEED_PROTOCOL}: offer it.`, { field: "sec-websocket-protocol" });
  }
  const response = await connect(connection);
  const webSocket = webSocketOf(response);
  if (webSocket === null) return response;
  // The response must not name a protocol if the client offered none: RFC 6455, section 4.1.
  return upgradeResponse(webSocket, protocols.length > 0 ? { "sec-websocket-protocol": FEED_PROTOCOL } : {});
}

/** Headers that say nothing about the caller. */
const OF_THE_CONNECTION = /^(sec-websocket-|upgrade$|connection$|accept|host$|cache-control$|pragma$|user-agent$|content-)/;

async function connect({ env, store, principal, request, query }: FeedConnection): Promise<Response> {
  const { actor, expiresAt = null } = principal;
  const { after: _after, limit: _limit, log: _log, mark: _mark, seen: _seen, ...filter } = query;
  const session: FeedSession = {
    store,
    address: request.url,
    filter,
    headers: [...request.headers].filter(([name]) => !OF_THE_CONNECTION.test(name)),
    actor,
    reach: readable(principal, store),
    expiresAt,
    checkedAt: Date.now(),
    pull: null,
  };
  return callObject(
    () => env.LOGS.getByName(store),
    (log) => log.fetch("https://log/feed", { headers: sessionHeaders(session) }),
  );
}

/** How often a comment is sent, so that proxies keep the connection open, in milliseconds. */
const HEARTBEAT = 20_000;
/** How soon a reader connects again, in milliseconds. */
const RECONNECT = 2_000;

interface Page extends LogPlace {
  readonly events: readonly { readonly position: number }[];
  readonly position: number;
}

const EVENT_STREAM = {
  "content-type": "text/event-stream; charset=utf-8",
  // `no-transform`, since a proxy that compresses the stream collects it first; `no-cache` is for proxies that do not know `no-store`.
  "cache-control": "no-store, no-cache, no-transform",
  // nginx collects responses otherwise: https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering
  "x-accel-buffering": "no",
};

/**
 * The feed as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html. `id` is the position, so that a reader
 * that connects again continues from there. An event without data only moves the position. The event `log` comes first, before there is
 * anything to read: a reader that connects again can say which log it follows. The log hibernates meanwhile: the Worker has a feed socket,
 * and sends a pull once the page before was written.
 */
export async function eventStream(connection: FeedConnection): Promise<Response> {
  const { query } = connection;
  const response = await connect(connection);
  const socket = webSocketOf(response);
  if (socket === null) return response;
  const { readable: body, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  const write = (text: string) => writer.write(encoder.encode(text));
  const place = placeOf(response);
  let log = query.log ?? place?.log;
  // A reader of another log gets the problem instead. A log of an older version says only with a page which one it is.
  let isNamed = log !== undefined && log === place?.log;
  const pull = (after: number, more: Pick<CompleteQuery, "mark" | "seen"> = {}) =>
    socket.send(JSON.stringify({ pull: { after, log, limit: query.limit, ...more } }));
  const end = () => {
    clearInterval(heartbeat);
    socket.close(1000);
    writer.close().catch(() => undefined); // the reader has gone
  };
  const heartbeat = setInterval(() => void write(": alive\n\n").catch(end), HEARTBEAT);
  socket.accept();
  socket.addEventListener("close", end);
  socket.addEventListener("error", end);
  socket.addEventListener("message", ({ data }) => {
    const message: { problem: object } | Page = JSON.parse(String(data));
    const forward = async () => {
      if ("problem" in message) {
        await write(`event: problem\ndata: ${JSON.stringify(message.problem)}\n\n`);
        return end();
      }
      if (!isNamed) await write(logEvent(message));
      isNamed = true;
      log = message.log;
      const events = message.events.map((event) => `id: ${event.position}\ndata: ${JSON.stringify(event)}\n\n`);
      const last = message.events.at(-1)?.position;
      await write(`${events.join("")}${last === message.position ? "" : `id: ${message.position}\n\n`}`);
      pull(message.position);
    };
    // The next pull is sent once this page is written, so this waits for a slow reader.
    forward().catch(end);
  });
  void write(`retry: ${RECONNECT}\n\n${place !== undefined && isNamed ? logEvent(place) : ""}`).catch(end);
  pull(query.after, { mark: query.mark, seen: query.seen });
  return new Response(body, { headers: EVENT_STREAM });
}

function logEvent({ log, head }: LogPlace): string {
  return `event: log\ndata: ${JSON.stringify({ log, head })}\n\n`;
}
