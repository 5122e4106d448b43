/**
 * A log's feed sockets: WebSockets that hibernate, so that an open socket costs nothing while nothing happens. Everything that a socket
 * needs is stored in its attachment, which survives an eviction; memory has copies.
 *
 *     pull ──► something past `after`? ── yes ──► page
 *                         └── no ──► the pull stays open ── published ──► matches? ── yes ──► page
 *                                                                            └── no ──► open, unless it skips many positions
 *
 * A socket gets one page for each pull: a slow reader is never flooded, and the edge buffers nothing. Before a page is sent, the
 * credentials are checked again if the last check is too long ago. When they expire, an alarm closes the socket, unless they were renewed.
 */

import type { Reach } from "../../shared/edge/grants.ts";
import { InvalidRequestError, PayloadTooLargeError, TooManyRequestsError, UnauthenticatedError } from "../../shared/errors.ts";
import { feedFilter } from "../../shared/feed-filter.ts";
import type { Limits } from "../../shared/limits.ts";
import { boundedWait } from "../../shared/wait.ts";
import { FEED_PROTOCOL, PING, PONG } from "../../shared/wire/feed-socket.ts";
import { parseMessage, socketAuth, socketMessage, socketPull } from "../../shared/wire/wire.ts";
import { assertKnown, type Principal, readable } from "../access/access.ts";
import { eachInFlight } from "../objects/in-flight.ts";
import { autoResponse, now, upgradeResponse, webSocketPair } from "../objects/platform.ts";
import { type Refused, unwrap } from "../objects/refused.ts";
import type { SharedAlarm } from "../objects/shared-alarm.ts";
import { logFault } from "../report/journal.ts";
import { problemOfError } from "../report/problem.ts";
import type { CompleteQuery, FoundEvents } from "./feed-page.ts";
import { type FeedSession, placeHeaders } from "./feed-session.ts";
import { FLOODED, MessageRate } from "./message-rate.ts";

/** What the sockets need of the log and its settings. */
export interface SocketsLog {
  authenticate(request: Request): Promise<Principal | null>;
  /** The error, if the reader follows another history. */
  check(query: CompleteQuery): Refused | undefined;
  find(query: CompleteQuery, reach: Reach): FoundEvents;
  toPage(found: FoundEvents): string;
  head(): number;
  /** The log's id. */
  readonly log: string;
  readonly limits: Limits;
  readonly checkEvery: number;
}

/** Bytes that the platform keeps for each socket: https://developers.cloudflare.com/durable-objects/api/websockets/ */
const ATTACHMENT_BYTES = 16_384;
/** Sockets of one store; the platform's own limit is 32,768. */
const SOCKETS = 20_000;
const SOCKETS_OF_AN_ACTOR = 100;
/** Milliseconds, at most. If the last check of the credentials is longer ago, they are checked again before anything is sent. */
export const CHECK_EVERY = 60_000;
/** How many positions a reader may fall behind if nothing matches, so that it does not wake for each of them. */
const PASSED_OVER = 1_000;
/** Characters of a message, at most. */
const MESSAGE_SIZE = 64 * 1024;
/** Where a fault happened, for the log lines. */
const PLACE = "feed-socket";

/** Codes for closing a socket: RFC 6455, section 7.4. */
const POLICY = 1008;
const TOO_BIG = 1009;
const INTERNAL = 1011;

export class FeedSockets {
  readonly #state: DurableObjectState;
  readonly #log: SocketsLog;
  readonly #alarm: SharedAlarm;
  /** The session of every socket, as its attachment has it; filled after a wake. */
  #sessions: Map<WebSocket, FeedSession> | undefined;
  readonly #rate = new MessageRate();
  #isDelivering = false;

  constructor(state: DurableObjectState, alarm: SharedAlarm, log: SocketsLog) {
    this.#state = state;
    this.#alarm = alarm;
    this.#log = log;
    state.setWebSocketAutoResponse(autoResponse(PING, PONG));
  }

  /**
   * Accepts a socket.
   *
   * @throws TooManyRequestsError if its actor, or the store, has too many
   * @throws PayloadTooLargeError if its filters, headers and grants are too large to store
   */
  async accept(session: FeedSession): Promise<Response> {
    const tag = `actor:${session.actor}`.slice(0, 256);
    if (this.#all().size >= SOCKETS)
      throw new TooManyRequestsError(`The store has ${SOCKETS} open feed sockets, the most it may have: try again later.`);
    if (session.actor !== null && this.#state.getWebSockets(tag).length >= SOCKETS_OF_AN_ACTOR) {
      throw new TooManyRequestsError(
        `This actor has ${SOCKETS_OF_AN_ACTOR} open feed sockets to the store, the most it may have: close one first.`,
      );
    }
    const { 0: client, 1: server } = webSocketPair(this.#state);
    // An open pull is stored besides.
    if (JSON.stringify(session).length > ATTACHMENT_BYTES / 2) {
      const detail = "The filters, headers and grants of the feed socket are too large to store: send fewer filters or shorter headers.";
      throw new PayloadTooLargeError(detail, { field: "headers" });
    }
    this.#state.acceptWebSocket(server, [tag]);
    this.#keep(server, session);
    this.#armExpiry(session.expiresAt);
    const place = placeHeaders({ log: this.#log.log, head: this.#log.head() });
    return upgradeResponse(client, { "sec-websocket-protocol": FEED_PROTOCOL, ...place });
  }

  /** Answers the open pulls for which the log has news. Not in this turn, so that a publication does not wait for it. */
  deliver(): void {
    if (this.#isDelivering || this.#all().size === 0) return;
    this.#isDelivering = true;
    const work = async () => {
      await Promise.resolve();
      this.#isDelivering = false;
      // Readers with the same pull and the same grants get the same page.
      const found = new Map<string, FoundEvents>();
      const isStale = ([, session]: [WebSocket, FeedSession]) => this.#isStale(session);
      const sessions = [...this.#all()];
      // Sessions that need another check don't delay the others.
      const fresh = sessions.filter((one) => !isStale(one));
      // If one fails, its socket is closed, and the others get their answers.
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
    if (this.#rate.isExceeded(socket)) return this.#close(socket, POLICY, new TooManyRequestsError(FLOODED));
    if (typeof message !== "string" || message.length > MESSAGE_SIZE) {
      return this.#close(socket, TOO_BIG, new PayloadTooLargeError(`A message must be text of at most ${MESSAGE_SIZE} characters.`));
    }
    try {
      const { pull, auth } = parseMessage(socketMessage, parseJson(message));
      if (auth !== undefined) await this.#renew(socket, session, parseMessage(socketAuth, auth).token);
      else if (pull !== undefined) await this.#pull(socket, session, pull);
      else throw new InvalidRequestError('A message must be {"pull":{"after":0}} or {"auth":{"token":"…"}}.', { field: "message" });
    } catch (error) {
      send(socket, { problem: problemOfError(PLACE, error) });
      if (error instanceof UnauthenticatedError) this.#close(socket, POLICY);
    }
  }

  forget(socket: WebSocket): void {
    this.#sessions?.delete(socket);
  }

  /** Closes the sockets whose credentials have expired, and sets the alarm for the next ones. */
  onAlarm(): void {
    const time = now(this.#state);
    let next = Number.POSITIVE_INFINITY;
    for (const [socket, { expiresAt }] of this.#all()) {
      if (expiresAt === null) continue;
      if (expiresAt > time) next = Math.min(next, expiresAt);
      else this.#close(socket, POLICY, new UnauthenticatedError("The token has expired: get a new one."));
    }
    this.#armExpiry(Number.isFinite(next) ? next : null);
  }

  async #pull(socket: WebSocket, session: FeedSession, given: unknown): Promise<void> {
    const { pageEvents } = this.#log.limits;
    const { within, ...request } = parseMessage(socketPull, given);
    if (request.limit === 0) throw new InvalidRequestError("limit must be a whole number from 1.", { field: "limit" });
    const pull: CompleteQuery = {
      ...session.filter,
      ...request,
      // `feedFilter` checks it.
      ...(within === undefined ? {} : { within: within as string[] }),
      after: request.after ?? 0,
      limit: Math.min(request.limit ?? pageEvents, pageEvents),
    };
    feedFilter(pull);
    const refusal = this.#log.check(pull);
    if (refusal !== undefined) unwrap(refusal);
    const next = { ...session, pull };
    if (JSON.stringify(next).length > ATTACHMENT_BYTES - 1024) {
      throw new PayloadTooLargeError("The filters of the pull are too large to store: filter by fewer values.", { field: "pull" });
    }
    this.#keep(socket, next);
    await this.#offer(socket, next);
  }

  /**
   * Sends a page if there is news for the open pull.
   *
   * @param found pages of readers with the same pull and grants. Left out if the pull has just arrived: then a page without events is sent
   * too, since it shows how far the log is
   * @param isChecked the credentials were checked right now
   */
  async #offer(socket: WebSocket, session: FeedSession, found?: Map<string, FoundEvents>, isChecked = false): Promise<void> {
    const { pull } = session;
    // Two deliveries at once may know the same pull: a second answer would be taken for the answer to the next one. A session that has
    // changed meanwhile was offered the news when it changed.
    if (this.#all().get(socket) !== session || pull === null || pull.after >= this.#log.head()) return;
    if (!isChecked && this.#isStale(session)) {
      const checked = await this.#check(socket, session);
      if (checked === undefined) return;
      return this.#offer(socket, checked, found, true);
    }
    const key = JSON.stringify([pull, session.reach]);
    const page = found?.get(key) ?? this.#log.find(pull, session.reach);
    found?.set(key, page);
    if (found !== undefined && page.events.length === 0 && page.position - pull.after < PASSED_OVER) return;
    this.#keep(socket, { ...session, pull: null });
    send(socket, this.#log.toPage(page));
  }

  /** Expired credentials are checked again too: the alarm that closes their sockets may be late. */
  #isStale({ checkedAt, expiresAt }: FeedSession): boolean {
    const time = now(this.#state);
    return time - checkedAt > this.#log.checkEvery || (expiresAt !== null && expiresAt <= time);
  }

  /** Checks the credentials again. Undefined if they are not valid any more, or if the socket was closed or got another session meanwhile. */
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
    if (principal.actor !== actor)
      throw new UnauthenticatedError("These credentials are of another actor: open another feed socket with them.");
    const { expiresAt = null } = principal;
    return { ...session, reach: readable(principal, store), expiresAt, checkedAt: now(this.#state) };
  }

  async #renew(socket: WebSocket, session: FeedSession, token: string): Promise<void> {
    const others = session.headers.filter(([name]) => name !== "authorization");
    const renewed = await this.#authenticate({ ...session, headers: [...others, ["authorization", `Bearer ${token}`]] });
    const latest = this.#all().get(socket);
    if (latest === undefined) return;
    // A pull that arrived meanwhile stays open.
    const next = { ...renewed, pull: latest.pull };
    this.#keep(socket, next);
    this.#armExpiry(next.expiresAt);
    send(socket, { renewed: { expiresAt: next.expiresAt } });
    await this.#offer(socket, next);
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
    if (error !== undefined) send(socket, { problem: problemOfError(PLACE, error) });
    this.forget(socket);
    try {
      socket.close(code);
    } catch {
      // It is closed already.
    }
  }

  /** One alarm for all sockets, at the time when the first credentials expire. */
  #armExpiry(expiresAt: number | null): void {
    if (expiresAt === null) return;
    const time = now(this.#state);
    // A token may be valid for longer than an alarm can wait: `onAlarm` arms it again then.
    this.#alarm.arm(time + boundedWait(expiresAt - time));
  }
}

/** A message to a closed socket is lost, like one that is on its way when the socket closes. */
function send(socket: WebSocket, message: string | object): void {
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
