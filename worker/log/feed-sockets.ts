/**
 * The live feed: WebSockets that hibernate, so that an open connection costs nothing while nothing happens. All that a socket needs
 * stands in its attachment, which outlives an eviction; memory holds copies.
 *
 *     pull ──► something past `after`? ── yes ──► page
 *                         └── no ──► the pull stays open ── published ──► matches? ── yes ──► page
 *                                                                            └── no ──► open, unless much was passed over
 *
 * A socket is sent one page for each pull: a slow reader is never flooded, and the edge buffers nothing. Before a page the credentials
 * are asked about again, where that was long ago; when they expire an alarm closes the socket, unless they were renewed.
 */

import type { Reach } from "../../shared/edge/grants.ts";
import { InvalidRequestError, PayloadTooLargeError, TooManyRequestsError, UnauthenticatedError } from "../../shared/errors.ts";
import { feedFilter } from "../../shared/feed-filter.ts";
import type { Limits } from "../../shared/limits.ts";
import { FEED_PROTOCOL, PING, PONG } from "../../shared/wire/feed-socket.ts";
import { parseMessage, socketAuth, socketMessage, socketPull } from "../../shared/wire/wire.ts";
import { assertKnown, type Principal, readable } from "../access/access.ts";
import { eachInFlight } from "../objects/in-flight.ts";
import { type Refused, unwrap } from "../objects/refused.ts";
import type { SharedAlarm } from "../objects/shared-alarm.ts";
import { logFault } from "../report/journal.ts";
import { problemOfError } from "../report/problem.ts";
import type { CompleteQuery, FoundEvents } from "./feed-page.ts";
import type { FeedSession } from "./feed-session.ts";

/** What the log can do for it. */
export interface LiveLog {
  authenticate(request: Request): Promise<Principal | null>;
  /** Refused where another history is followed. */
  check(query: CompleteQuery): Refused | undefined;
  find(query: CompleteQuery, reach: Reach): FoundEvents;
  toPage(found: FoundEvents): string;
  head(): number;
  readonly limits: Limits;
  readonly checkEvery: number;
}

/** Bytes that the platform keeps for each socket: https://developers.cloudflare.com/durable-objects/api/websockets/ */
const ATTACHMENT_BYTES = 16_384;
/** Of one store; the platform's own limit is 32,768. */
const SOCKETS = 20_000;
const SOCKETS_OF_AN_ACTOR = 100;
/** Credentials that were known so many milliseconds ago are asked about again before anything is sent, at the latest. */
export const CHECK_EVERY = 60_000;
/** Positions that a reader is let fall behind where nothing matches, so that it isn't woken for each. */
const PASSED_OVER = 1_000;
/** Characters of a message, and messages of a socket in so many milliseconds. */
const MESSAGE_SIZE = 64 * 1024;
const MESSAGES = 200;
const MESSAGES_IN = 10_000;

/** Codes that close a socket: RFC 6455, section 7.4. */
const POLICY = 1008;
const TOO_BIG = 1009;
const INTERNAL = 1011;

export class FeedSockets {
  readonly #state: DurableObjectState;
  readonly #log: LiveLog;
  readonly #alarm: SharedAlarm;
  /** Of every socket, as its attachment has it; filled after a wake. */
  #sessions: Map<WebSocket, FeedSession> | undefined;
  /** Messages of the time since then. */
  readonly #counts = new WeakMap<WebSocket, { since: number; messages: number }>();
  #isDelivering = false;

  constructor(state: DurableObjectState, alarm: SharedAlarm, log: LiveLog) {
    this.#state = state;
    this.#alarm = alarm;
    this.#log = log;
    state.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  /**
   * Takes a socket in.
   *
   * @throws TooManyRequestsError where its actor, or the store, has enough of them; PayloadTooLargeError where its filters and grants are more
   * than can be kept for it
   */
  async accept(session: FeedSession): Promise<Response> {
    const tag = `actor:${session.actor}`.slice(0, 256);
    if (this.#all().size >= SOCKETS) throw new TooManyRequestsError("The store has no room for another live connection.");
    if (session.actor !== null && this.#state.getWebSockets(tag).length >= SOCKETS_OF_AN_ACTOR) {
      throw new TooManyRequestsError(`${SOCKETS_OF_AN_ACTOR} live connections of one actor are open already.`);
    }
    const { 0: client, 1: server } = new WebSocketPair();
    // An open pull comes on top.
    if (JSON.stringify(session).length > ATTACHMENT_BYTES / 2) {
      throw new PayloadTooLargeError("A live connection's filters, headers and grants are too large to be kept; ask for less.", {
        field: "headers",
      });
    }
    this.#state.acceptWebSocket(server, [tag]);
    this.#keep(server, session);
    this.#armExpiry(session.expiresAt);
    return new Response(null, { status: 101, webSocket: client, headers: { "sec-websocket-protocol": FEED_PROTOCOL } });
  }

  /** Answers whoever waits for what the log has by now. Not in this turn: whoever published does not wait for it. */
  deliver(): void {
    if (this.#isDelivering || this.#all().size === 0) return;
    this.#isDelivering = true;
    const work = async () => {
      await Promise.resolve();
      this.#isDelivering = false;
      // Readers of the same kind stand at the same place, and are sent the same page.
      const found = new Map<string, FoundEvents>();
      const isStale = ([, session]: [WebSocket, FeedSession]) => this.#isStale(session);
      const sessions = [...this.#all()];
      // Whoever has to be asked about again does not hold up the others.
      const fresh = sessions.filter((one) => !isStale(one));
      // One that fails is closed by itself, and the others are answered.
      const offer = ([socket, session]: [WebSocket, FeedSession]) =>
        this.#offer(socket, session, found).catch((error: unknown) => this.#close(socket, INTERNAL, error));
      for (const one of fresh) await offer(one);
      await eachInFlight(sessions.filter(isStale), offer);
    };
    this.#state.waitUntil(work());
  }

  async onMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const session = this.#all().get(socket);
    if (session === undefined) return;
    if (this.#isFlood(socket)) return this.#close(socket, POLICY, new TooManyRequestsError("Too many messages; ask for a page at a time."));
    if (typeof message !== "string" || message.length > MESSAGE_SIZE) {
      return this.#close(socket, TOO_BIG, new PayloadTooLargeError(`A message is text of at most ${MESSAGE_SIZE} characters.`));
    }
    try {
      const { pull, auth } = parseMessage(socketMessage, parseJson(message));
      if (auth !== undefined) await this.#renew(socket, session, parseMessage(socketAuth, auth).token);
      else if (pull !== undefined) await this.#pull(socket, session, pull);
      else throw new InvalidRequestError('A message is {"pull":{"after":0}} or {"auth":{"token":"…"}}.', { field: "message" });
    } catch (error) {
      send(socket, { problem: problemOfError("live", error) });
      if (error instanceof UnauthenticatedError) this.#close(socket, POLICY);
    }
  }

  forget(socket: WebSocket): void {
    this.#sessions?.delete(socket);
  }

  /** Closes what has expired, and has the next one looked at in its time. */
  onAlarm(): void {
    const now = Date.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [socket, { expiresAt }] of this.#all()) {
      if (expiresAt === null) continue;
      if (expiresAt > now) next = Math.min(next, expiresAt);
      else this.#close(socket, POLICY, new UnauthenticatedError("The token has expired."));
    }
    this.#armExpiry(Number.isFinite(next) ? next : null);
  }

  async #pull(socket: WebSocket, session: FeedSession, given: unknown): Promise<void> {
    const { pageEvents } = this.#log.limits;
    const { within, ...asked } = parseMessage(socketPull, given);
    if (asked.limit === 0) throw new InvalidRequestError("limit is a whole number from 1.", { field: "limit" });
    const pull: CompleteQuery = {
      ...session.filter,
      ...asked,
      // `feedFilter` checks it.
      ...(within === undefined ? {} : { within: within as string[] }),
      after: asked.after ?? 0,
      limit: Math.min(asked.limit ?? pageEvents, pageEvents),
    };
    feedFilter(pull);
    const refusal = this.#log.check(pull);
    if (refusal !== undefined) unwrap(refusal);
    const next = { ...session, pull };
    if (JSON.stringify(next).length > ATTACHMENT_BYTES - 1024) {
      throw new PayloadTooLargeError("What the pull filters by is too large to be kept; ask for less.", { field: "pull" });
    }
    this.#keep(socket, next);
    await this.#offer(socket, next);
  }

  /** @param found what others of the same kind are sent; left out: the reader has just asked, and is told how far the log is */
  async #offer(socket: WebSocket, session: FeedSession, found?: Map<string, FoundEvents>): Promise<void> {
    const { pull } = session;
    if (pull === null || pull.after >= this.#log.head()) return;
    if (this.#isStale(session)) {
      const checked = await this.#check(socket, session);
      if (checked === undefined) return;
      return this.#offer(socket, checked, found);
    }
    const key = JSON.stringify([pull, session.reach]);
    const page = found?.get(key) ?? this.#log.find(pull, session.reach);
    found?.set(key, page);
    if (found !== undefined && page.events.length === 0 && page.position - pull.after < PASSED_OVER) return;
    this.#keep(socket, { ...session, pull: null });
    send(socket, this.#log.toPage(page));
  }

  #isStale({ checkedAt }: FeedSession): boolean {
    return Date.now() - checkedAt > this.#log.checkEvery;
  }

  /** Asks who it is, once more. Undefined where they are known no longer, or the socket was closed or given another session meanwhile. */
  async #check(socket: WebSocket, session: FeedSession): Promise<FeedSession | undefined> {
    try {
      const checked = await this.#authenticate(session);
      if (this.#all().get(socket) !== session) return undefined;
      this.#keep(socket, checked);
      return checked;
    } catch (error) {
      this.#close(socket, POLICY, error);
      return undefined;
    }
  }

  async #authenticate(session: FeedSession): Promise<FeedSession> {
    const { store, address, actor } = session;
    const headers = new Headers(session.headers.map(([name, value]): [string, string] => [name, value]));
    const principal = assertKnown(await this.#log.authenticate(new Request(address, { headers })));
    if (principal.actor !== actor) throw new UnauthenticatedError("These are another actor's credentials; open a connection of their own.");
    const { expiresAt = null } = principal;
    return { ...session, reach: readable(principal, store), expiresAt, checkedAt: Date.now() };
  }

  async #renew(socket: WebSocket, session: FeedSession, token: string): Promise<void> {
    const others = session.headers.filter(([name]) => name !== "authorization");
    const renewed = await this.#authenticate({ ...session, headers: [...others, ["authorization", `Bearer ${token}`]] });
    const now = this.#all().get(socket);
    if (now === undefined) return;
    // A pull that came in meanwhile stays open.
    const { pull } = now;
    this.#keep(socket, { ...renewed, pull });
    this.#armExpiry(renewed.expiresAt);
    send(socket, { renewed: { expiresAt: renewed.expiresAt } });
    await this.#offer(socket, { ...renewed, pull });
  }

  #keep(socket: WebSocket, session: FeedSession): void {
    this.#all().set(socket, session);
    socket.serializeAttachment(session);
  }

  #all(): Map<WebSocket, FeedSession> {
    this.#sessions ??= new Map(
      this.#state.getWebSockets().flatMap((socket) => {
        const session: FeedSession | null = socket.deserializeAttachment();
        return session === null ? [] : [[socket, session] as const];
      }),
    );
    return this.#sessions;
  }

  #close(socket: WebSocket, code: number, error?: unknown): void {
    if (error !== undefined) send(socket, { problem: problemOfError("live", error) });
    this.forget(socket);
    try {
      socket.close(code);
    } catch {
      // It is closed already.
    }
  }

  #isFlood(socket: WebSocket): boolean {
    const now = Date.now();
    let count = this.#counts.get(socket);
    if (count === undefined || now - count.since > MESSAGES_IN) {
      count = { since: now, messages: 0 };
      this.#counts.set(socket, count);
    }
    count.messages++;
    return count.messages > MESSAGES;
  }

  /** One alarm, for whoever expires first. */
  #armExpiry(expiresAt: number | null): void {
    if (expiresAt !== null) this.#alarm.arm(expiresAt);
  }
}

/** What is sent to a socket that is closed is lost, as what is on its way when it closes is. */
function send(socket: WebSocket, message: string | object): void {
  try {
    socket.send(typeof message === "string" ? message : JSON.stringify(message));
  } catch (error) {
    if (socket.readyState === WebSocket.OPEN) logFault("live", error);
  }
}

function parseJson(message: string): unknown {
  try {
    return JSON.parse(message);
  } catch (error) {
    throw new InvalidRequestError("The message is not JSON.", { field: "message" }, { cause: error });
  }
}
