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

import { socketRefusal } from "../../shared/edge/callers.ts";
import type { Reach } from "../../shared/edge/grants.ts";
import {
  InvalidRequestError,
  PayloadTooLargeError,
  StorageDamagedError,
  TooManyRequestsError,
  UnauthenticatedError,
} from "../../shared/errors.ts";
import { feedFilter } from "../../shared/feed-filter.ts";
import type { Limits } from "../../shared/limits.ts";
import { boundedWait } from "../../shared/wait.ts";
import { FEED_PROTOCOL, PING, PONG } from "../../shared/wire/feed-socket.ts";
import { parseMessage, socketAuth, socketPull } from "../../shared/wire/wire.ts";
import { assertKnown, type Principal, readable } from "../access/access.ts";
import { callerWith } from "../access/rate-limit.ts";
import { eachInFlight } from "../objects/in-flight.ts";
import { autoResponse, now, upgradeResponse, webSocketPair } from "../objects/platform.ts";
import { type Refused, unwrap } from "../objects/refused.ts";
import type { SharedAlarm } from "../objects/shared-alarm.ts";
import { problemOfError } from "../report/problem.ts";
import type { CompleteQuery, FoundEvents, Search } from "./feed-page.ts";
import { type FeedSession, headersOf, PLACE, placeHeaders, readMessage, send } from "./feed-session.ts";
import { FLOODED, MessageRate } from "./message-rate.ts";
import { type Due, isWorthSending, OpenPulls, PASSED_OVER, type ReadableLog } from "./open-pulls.ts";
import type { Found, ReadTurns } from "./read-turns.ts";

/** What the sockets need of the log and its settings. */
export interface SocketsLog extends ReadableLog {
  authenticate(request: Request): Promise<Principal | null>;
  /** The error, if the reader follows another history. */
  check(query: CompleteQuery): Refused | undefined;
  search(query: CompleteQuery, reach: Reach): Search;
  readonly turns: ReadTurns;
  toPage(found: FoundEvents): string;
  /** The log's id. */
  readonly log: string;
  readonly limits: Limits;
  readonly checkEvery: number;
}

/** Bytes that the platform keeps for each socket: https://developers.cloudflare.com/durable-objects/api/websockets/ */
const ATTACHMENT_BYTES = 16_384;
/** Characters of a tag, at most. The platform counts the sockets of a tag. */
const TAG_LENGTH = 256;
/** The tag of all sockets without an actor. */
const UNNAMED = "unnamed";
/** Milliseconds, at most. If the last check of the credentials is longer ago, they are checked again before anything is sent. */
export const CHECK_EVERY = 60_000;
/** Sockets that get their pages in one turn. */
const TURN_PAGES = 50;
/** Characters of a message, at most. */
const MESSAGE_SIZE = 64 * 1024;

/** Codes for closing a socket: RFC 6455, section 7.4. */
const POLICY = 1008;
const TOO_BIG = 1009;
const INTERNAL = 1011;

type SocketSession = readonly [WebSocket, FeedSession];

interface News {
  readonly due?: Due | undefined;
  /** Pages of readers with the same filter and grants. */
  readonly found?: Map<string, Found>;
  /** The credentials were checked right now. */
  readonly isChecked?: boolean;
}

export class FeedSockets {
  readonly #state: DurableObjectState;
  readonly #log: SocketsLog;
  readonly #alarm: SharedAlarm;
  /** The session of every socket, as its attachment has it; filled after a wake. */
  #sessions: Map<WebSocket, FeedSession> | undefined;
  readonly #pulls = new OpenPulls();
  readonly #rate = new MessageRate();
  #isDelivering = false;
  #isChecking = false;
  /** When all credentials were last checked, in milliseconds since 1970. */
  #checkedAt = 0;

  constructor(state: DurableObjectState, alarm: SharedAlarm, log: SocketsLog) {
    this.#state = state;
    this.#alarm = alarm;
    this.#log = log;
    state.setWebSocketAutoResponse(autoResponse(PING, PONG));
  }

  /**
   * Accepts a socket.
   *
   * @throws TooManyRequestsError if its caller, or the store, has too many
   * @throws PayloadTooLargeError if its filters, headers and grants are too large to store
   */
  async accept(session: FeedSession): Promise<Response> {
    const { actor } = session;
    const caller = callerWith(headersOf(session), actor).slice(0, TAG_LENGTH);
    const count = (tag: string) => this.#state.getWebSockets(tag).length;
    const open = { all: this.#all().size, ofCaller: count(caller), unnamed: actor === null ? count(UNNAMED) : 0 };
    const refusal = socketRefusal(open, actor);
    if (refusal !== undefined) throw new TooManyRequestsError(refusal);
    const { 0: client, 1: server } = webSocketPair(this.#state);
    // An open pull is stored besides.
    if (JSON.stringify(session).length > ATTACHMENT_BYTES / 2) {
      const detail = "The filters, headers and grants of the feed socket are too large to store: send fewer filters or shorter headers.";
      throw new PayloadTooLargeError(detail, { field: "headers" });
    }
    this.#state.acceptWebSocket(server, actor === null ? [caller, UNNAMED] : [caller]);
    this.#keep(server, session);
    this.#armExpiry(session.expiresAt);
    const place = placeHeaders({ log: this.#log.log, head: this.#log.head() });
    return upgradeResponse(client, { "sec-websocket-protocol": FEED_PROTOCOL, ...place });
  }

  /** Answers the open pulls for which the log has news. Not in this turn, so that a publication does not wait for it. */
  deliver(): void {
    if (this.#isDelivering) return;
    if (this.#all().size === 0) {
      this.#pulls.lookedTo = this.#log.head();
      return;
    }
    this.#isDelivering = true;
    this.#state.waitUntil(this.#deliver());
  }

  async #deliver(): Promise<void> {
    await Promise.resolve();
    try {
      if (this.#pulls.lookedTo === undefined) this.#wakePulls();
      for (let due = this.#pulls.lookAtNews(this.#log); due !== undefined; due = this.#pulls.lookAtNews(this.#log)) {
        await this.#answerDue(due);
        if (!this.#pulls.haveSeen(this.#log)) await this.#log.turns.next();
      }
    } finally {
      this.#isDelivering = false;
    }
    this.#checkOthers();
  }

  /** Pulls that were open when the object went away. */
  #wakePulls(): void {
    const head = this.#log.head();
    for (const [socket, session] of this.#all()) {
      const { pull, reach } = session;
      if (pull === null) continue;
      // Its first search may not have ended.
      if (head - pull.after >= PASSED_OVER) this.#state.waitUntil(this.#answerOrClose(socket, pull));
      else this.#pulls.keep(socket, pull, reach);
    }
    this.#pulls.lookedTo = Math.min(this.#pulls.first(), head);
  }

  async #answerDue(due: ReadonlyMap<WebSocket, Due>): Promise<void> {
    const found = new Map<string, Found>();
    const answer = async ([socket, { pull }]: SocketSession) => {
      if (pull !== null) await this.#answerOrClose(socket, pull, { due: due.get(socket), found });
    };
    const sessions = [...due.keys()].flatMap((socket) => {
      const session = this.#all().get(socket);
      return session === undefined ? [] : [[socket, session] as const];
    });
    const isStale = ([, session]: SocketSession) => this.#isStale(session); // they need another check, and don't delay the others
    this.#state.waitUntil(eachInFlight(sessions.filter(isStale), answer));
    const fresh = sessions.filter((one) => !isStale(one));
    for (const [i, one] of fresh.entries()) {
      await answer(one);
      if ((i + 1) % TURN_PAGES === 0) await this.#log.turns.next();
    }
  }

  /** Checks the credentials of readers without news too, since their grants may be others by now. One in a turn, once in `checkEvery`. */
  #checkOthers(): void {
    const time = now(this.#state);
    if (this.#isChecking || time - this.#checkedAt < this.#log.checkEvery) return;
    this.#checkedAt = time;
    const stale = [...this.#all()].filter(([, session]) => this.#isStale(session));
    if (stale.length === 0) return;
    this.#isChecking = true;
    const work = async () => {
      for (const [socket, session] of stale) {
        const { pull, reach } = session;
        if (this.#all().get(socket) !== session || pull === null || !this.#pulls.has(socket)) continue;
        const checked = await this.#check(socket, session);
        if (checked !== undefined && JSON.stringify(checked.reach) !== JSON.stringify(reach)) {
          await this.#answerOrClose(socket, pull, { isChecked: true });
        }
        await this.#log.turns.next();
      }
    };
    const end = () => {
      this.#isChecking = false;
    };
    this.#state.waitUntil(work().finally(end));
  }

  async onMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const session = this.#all().get(socket);
    if (session === undefined) return;
    if (this.#rate.isExceeded(socket)) return this.#close(socket, POLICY, new TooManyRequestsError(FLOODED));
    if (typeof message !== "string" || message.length > MESSAGE_SIZE) {
      return this.#close(socket, TOO_BIG, new PayloadTooLargeError(`A message must be text of at most ${MESSAGE_SIZE} characters.`));
    }
    try {
      const { pull, auth } = readMessage(message);
      if (auth !== undefined) await this.#renew(socket, session, parseMessage(socketAuth, auth).token);
      else if (pull !== undefined) await this.#pull(socket, session, pull);
      else throw new InvalidRequestError('A message must be {"pull":{"after":0}} or {"auth":{"token":"…"}}.', { field: "message" });
    } catch (error) {
      send(socket, { problem: problemOfError(PLACE, error) });
      if (error instanceof UnauthenticatedError) this.#close(socket, POLICY);
    }
  }

  forget(socket: WebSocket): void {
    this.#pulls.delete(socket);
    this.#sessions?.delete(socket);
  }

  /** Closes all sockets, those with an open pull too. @param error what their readers get before that */
  closeAll(error: unknown): void {
    for (const socket of [...this.#all().keys()]) this.#close(socket, POLICY, error);
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
    this.#pulls.delete(socket);
    this.#keep(socket, next);
    await this.#answer(socket, pull);
  }

  /**
   * Sends a page for the open pull; if the log has nothing after its position, the pull waits.
   *
   * @param news what is known of the news, if the pull has waited for them: a page without events is sent only if it is far ahead. A pull
   * that has just arrived gets one in any case, since it shows how far the log is
   */
  async #answer(socket: WebSocket, pull: CompleteQuery, news?: News): Promise<void> {
    // Two deliveries at once may know the same pull: a second answer would be taken for the answer to the next one.
    const session = this.#all().get(socket);
    if (session?.pull !== pull) return;
    if (pull.after >= this.#log.head()) return this.#pulls.keep(socket, pull, session.reach);
    if (news?.isChecked !== true && this.#isStale(session)) {
      const checked = await this.#check(socket, session);
      if (checked === undefined) return;
      return this.#answer(socket, pull, { ...news, isChecked: true });
    }
    const wasExpired = this.#isExpired(session);
    const page = await this.#find(socket, session, pull, news);
    if (page === undefined) return;
    // Others may have checked the credentials meanwhile, and the grants may be others by now.
    const isSame = this.#all().get(socket) === session;
    if (!isSame || (!wasExpired && this.#isExpired(session))) return this.#answer(socket, pull, { ...news, isChecked: false });
    if (this.#pulls.has(socket) && !isWorthSending(page, pull.after)) return;
    this.#pulls.delete(socket);
    this.#keep(socket, { ...session, pull: null });
    send(socket, page instanceof StorageDamagedError ? { problem: problemOfError(PLACE, page) } : this.#log.toPage(page));
  }

  /** If it fails, the socket is closed, and the others get their answers. */
  async #answerOrClose(socket: WebSocket, pull: CompleteQuery, news?: News): Promise<void> {
    await this.#answer(socket, pull, news).catch((error: unknown) => this.#close(socket, INTERNAL, error));
  }

  /** Undefined if the socket has another session meanwhile. */
  async #find(socket: WebSocket, { reach }: FeedSession, pull: CompleteQuery, { due, found }: News = {}): Promise<Found | undefined> {
    // What a check has changed of the grants is in another group.
    const isKnown = due !== undefined && this.#pulls.keyOf(socket) === due.key;
    const query = isKnown ? { ...pull, after: Math.max(pull.after, due.emptyUpTo) } : pull;
    const key = isKnown ? `${query.after} ${query.limit} ${query.damaged} ${due.key}` : undefined;
    const known = key === undefined ? undefined : found?.get(key);
    if (known !== undefined) return known;
    const isWanted = () => this.#all().get(socket)?.pull === pull;
    const page = await this.#log.turns.find(this.#log.search(query, reach), isWanted);
    if (key !== undefined && page !== undefined) found?.set(key, page);
    return page;
  }

  /** Expired credentials are checked again too: the alarm that closes their sockets may be late. */
  #isStale({ checkedAt, expiresAt }: FeedSession): boolean {
    const time = now(this.#state);
    return time - checkedAt > this.#log.checkEvery || (expiresAt !== null && expiresAt <= time);
  }

  #isExpired({ expiresAt }: FeedSession): boolean {
    return expiresAt !== null && now(this.#state) >= expiresAt;
  }

  /** Checks the credentials again. @returns the socket's session; undefined if they are not valid any more, or if the socket was closed */
  async #check(socket: WebSocket, session: FeedSession): Promise<FeedSession | undefined> {
    try {
      const checked = await this.#authenticate(session);
      const latest = this.#all().get(socket);
      // Whoever has changed it meanwhile knows better.
      if (latest !== session) return latest;
      this.#keep(socket, checked);
      return checked;
    } catch (error) {
      if (this.#all().get(socket) === session) this.#close(socket, POLICY, error);
      return undefined;
    }
  }

  async #authenticate(session: FeedSession): Promise<FeedSession> {
    const { store, address, actor } = session;
    const principal = assertKnown(await this.#log.authenticate(new Request(address, { headers: headersOf(session) })));
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
    if (next.pull !== null) await this.#answer(socket, next.pull);
  }

  #keep(socket: WebSocket, session: FeedSession): void {
    this.#all().set(socket, session);
    if (this.#pulls.has(socket) && session.pull !== null) this.#pulls.keep(socket, session.pull, session.reach);
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
