/**
 * The log of one store: gives positions at the moment of insertion and serves the feed. One row for each published run;
 * the index on it is at once the streams' heads, the way back from a version to its position, the list of streams, and the
 * feed of a few of them. A row's mark is the one behind its last event (`shared/mark.ts`).
 */
import { DurableObject } from "cloudflare:workers";
import { unreachable } from "../../shared/assert.ts";
import { EVERYTHING, intersection, type Reach, reachOfCategory } from "../../shared/edge/grants.ts";
import { decidePublication } from "../../shared/edge/publication.ts";
import { LogMismatchError, PositionAheadError } from "../../shared/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../shared/limits.ts";
import { toVersion } from "../../shared/order.ts";
import type { StoreHealth } from "../../shared/wire/wire.ts";
import { type Authenticate, authenticateBySettings } from "../access/access.ts";
import type { EdgeEnv } from "../env.ts";
import { type Refused, toRefused } from "../objects/refused.ts";
import { linesOf, parseLine } from "../objects/run-text.ts";
import { SharedAlarm } from "../objects/shared-alarm.ts";
import { problemResponse } from "../report/problem.ts";
import { type CompleteQuery, type FoundEvents, readFeed } from "./feed-page.ts";
import { sessionOf } from "./feed-session.ts";
import { CHECK_EVERY, FeedSockets } from "./feed-sockets.ts";
import { LogRuns, type Span } from "./log-runs.ts";
import { type Origin, Subscribers } from "./notifier.ts";

/** Contiguous versions of one stream, on their way into the log. */
export interface PublishedRun {
  readonly streamId: string;
  readonly firstVersion: number;
  /** As `run-text.ts` makes them. */
  readonly events: string;
  /** The stream's version: what it holds beyond this run is still to come. */
  readonly streamVersion: number;
}

export type PublicationAnswer =
  /** All of the run stands in the log, here. */
  | { readonly kind: "published"; readonly spans: readonly Span[] }
  /** The log has the stream only up to `head`: send again from there. */
  | { readonly kind: "gap"; readonly head: number };

export interface Published {
  readonly log: string;
  /** One for each run, in order. */
  readonly answers: readonly PublicationAnswer[];
}

/** What somebody who follows the log believes of it. */
export interface Followed {
  readonly log?: string | undefined;
  /** How far they have come. */
  readonly position?: number | undefined;
  /** The log's mark there. */
  readonly mark?: string | undefined;
}

/** What of an edge's settings its logs need. */
export interface LogSettings<E extends EdgeEnv> {
  readonly authenticate: Authenticate<E>;
  readonly limits: Limits;
  readonly checkEvery: number;
  /** Names of the edge's subscriptions. */
  readonly subscriptions: readonly string[];
}

export class LogObject<E extends EdgeEnv = EdgeEnv> extends DurableObject<E> {
  readonly #runs: LogRuns;
  /**
   * Streams that hold more than the log, as far as they have told since the log woke: refused for a gap or for want of
   * room, or sent in parts. A stream that could not reach the log tells as soon as it can, by its alarm.
   */
  readonly #waiting = new Map<string, { readonly version: number; readonly since: number }>();

  readonly #alarm: SharedAlarm;
  readonly #live: FeedSockets;
  /** Undefined at an edge without subscriptions. */
  readonly #subscribers: Subscribers | undefined;

  constructor(state: DurableObjectState, env: E) {
    super(state, env);
    this.#runs = new LogRuns(state.storage);
    this.#alarm = new SharedAlarm(state.storage);
    const { limits, checkEvery, subscriptions: names } = this.settings();
    this.#live = new FeedSockets(state, this.#alarm, {
      authenticate: async (request) => this.settings().authenticate(request, env),
      check: (query) => this.#checkQuery(query),
      find: (query, reach) => readFeed(this.#runs, query, reach),
      toPage: (found) => this.#toPage(found),
      head: () => this.#runs.head,
      limits,
      checkEvery,
    });
    const end = { log: this.#runs.log, head: () => this.#runs.head, mark: () => this.#runs.mark };
    this.#subscribers = names.length === 0 ? undefined : new Subscribers({ state, env, alarm: this.#alarm, names, ...end });
    state.blockConcurrencyWhile(async () => {
      await this.#alarm.load();
      this.#subscribers?.woke(state.id.name);
    });
    // Whoever waited when the object went away may have missed something.
    this.#live.deliver();
  }

  /** Of the edge that this is the log of; `createEdge` makes a class that has its own. */
  protected settings(): LogSettings<E> {
    return { authenticate: authenticateBySettings, limits: DEFAULT_LIMITS, checkEvery: CHECK_EVERY, subscriptions: [] };
  }

  /** The live feed. The Worker has let the request in, and says for whom. */
  override async fetch(request: Request): Promise<Response> {
    try {
      return await this.#live.accept(sessionOf(request));
    } catch (error) {
      return problemResponse(error);
    }
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await this.#live.onMessage(socket, message);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    this.#live.forget(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#live.forget(socket);
  }

  override async alarm(): Promise<void> {
    this.#alarm.wentOff();
    this.#live.onAlarm();
    await this.#subscribers?.onAlarm();
  }

  /**
   * Takes runs of any number of streams in one transaction. Sending a run again is always safe.
   *
   * @param store of the log; left out, the object's own name
   */
  publish(runs: readonly PublishedRun[], store = this.ctx.id.name): Published {
    const before = this.#runs.head;
    try {
      const answers = this.#runs.transaction(() => {
        this.#subscribers?.enroll(store);
        return runs.map((run) => this.#take(run));
      });
      for (const [i, run] of runs.entries()) this.#note(run, answers[i]);
      if (this.#runs.head > before) {
        this.#live.deliver();
        // Without an await between, the alarm is part of the same write as the runs.
        this.#subscribers?.published();
      }
      return { log: this.#runs.log, answers };
    } catch (error) {
      this.#subscribers?.reload();
      for (const run of runs) this.#note(run);
      throw error;
    }
  }

  /** @param answer left out where the run could not be written */
  #note({ streamId, streamVersion, events }: PublishedRun, answer?: PublicationAnswer): void {
    if (answer?.kind === "published" && (answer.spans.at(-1)?.lastVersion ?? 0) >= streamVersion) {
      this.#waiting.delete(streamId);
      return;
    }
    const { recordedAt } = parseLine(linesOf(events)[0] ?? "");
    this.#waiting.set(streamId, { version: streamVersion, since: Date.parse(recordedAt ?? "") });
  }

  #take(run: PublishedRun): PublicationAnswer {
    const { streamId, firstVersion } = run;
    const lines = linesOf(run.events);
    const lastVersion = firstVersion + lines.length - 1;
    const decision = decidePublication(toVersion(this.#runs.headOf(streamId)), {
      firstVersion: toVersion(firstVersion),
      lastVersion: toVersion(lastVersion),
    });
    switch (decision.kind) {
      case "gap":
        return decision;
      case "duplicate":
        return { kind: "published", spans: this.#runs.spansOf(streamId, firstVersion, lastVersion) };
      case "take": {
        const known = decision.from > firstVersion ? this.#runs.spansOf(streamId, firstVersion, decision.from - 1) : [];
        const taken = this.#runs.add(streamId, decision.from, lines.slice(decision.from - firstVersion));
        return { kind: "published", spans: [...known, taken] };
      }
      default:
        return unreachable(decision);
    }
  }

  /** What a subscription is told of the store, once it is known to the log; null for one that is not configured. */
  originOf(store: string, name: string): Origin | null {
    this.#subscribers?.enroll(store);
    return this.#subscribers?.originOf(name) ?? null;
  }

  /** Where a stream's events from version `from` on stand, as far as the log has them. */
  positionsOf(streamId: string, from: number): readonly Span[] {
    return this.#runs.spansOf(streamId, from, Number.MAX_SAFE_INTEGER);
  }

  /** The log's id, where it is the one that is followed, with the history that it had. */
  follow(followed: Followed): { readonly log: string } | Refused {
    return this.#refusal(followed) ?? { log: this.#runs.log };
  }

  #refusal({ log = this.#runs.log, position = 0, mark }: Followed): Refused | undefined {
    const facts = { log: this.#runs.log, head: this.#runs.head };
    if (log !== this.#runs.log) return toRefused(new LogMismatchError(undefined, facts));
    if (position > this.#runs.head) return toRefused(new PositionAheadError(undefined, facts));
    if (mark === undefined || mark === this.#runs.markAt(position)) return undefined;
    const detail = `The log has another history up to position ${position} than the one that is followed: an older copy of it was restored.`;
    return toRefused(new LogMismatchError(detail, facts));
  }

  /** A page of the feed as JSON: of what is in reach, and moving on past the rest. */
  readPage(query: CompleteQuery, reach: Reach): { readonly page: string } | Refused {
    return this.#checkQuery(query) ?? { page: this.#toPage(readFeed(this.#runs, query, reach)) };
  }

  /** For a Worker of before there were grants of streams, see docs/decisions/0014-version-skew.md: it has checked access by itself. */
  read(query: CompleteQuery, reach = EVERYTHING): { readonly page: string } | Refused {
    return this.readPage(query, reach);
  }

  #checkQuery({ log, after, seen = after, mark }: CompleteQuery): Refused | undefined {
    return this.#refusal({ log, position: after }) ?? this.#refusal({ log, position: seen, mark });
  }

  #toPage({ events, position }: FoundEvents): string {
    const ends = `"position":${position},"mark":"${this.#runs.markAt(position)}","head":${this.#runs.head}`;
    return `{"log":"${this.#runs.log}","events":[${events.join(",")}],${ends}}`;
  }

  /** Streams in the order of their ids, of what is in reach. */
  listStreams(
    query: { readonly category?: string; readonly after: string; readonly limit: number },
    reach: Reach,
  ): {
    streams: { streamId: string; version: number }[];
    next: string | null;
  } {
    const streams: { streamId: string; version: number }[] = [];
    const { category } = query;
    let { after } = query;
    for (const [from, to] of category === undefined ? reach : intersection(reach, reachOfCategory(category))) {
      while (streams.length <= query.limit) {
        const next = this.#runs.nextStream(after, from, to);
        if (next === undefined) break;
        streams.push(next);
        after = next.streamId;
      }
    }
    if (streams.length <= query.limit) return { streams, next: null };
    streams.pop();
    return { streams, next: streams.at(-1)?.streamId ?? null };
  }

  /** As `read`. */
  streams(query: Parameters<LogObject["listStreams"]>[0], reach = EVERYTHING): ReturnType<LogObject["listStreams"]> {
    return this.listStreams(query, reach);
  }

  health(): StoreHealth {
    const streams = this.#runs.countStreams();
    let unpublished = 0;
    let oldest = Number.POSITIVE_INFINITY;
    for (const [streamId, { version, since }] of this.#waiting) {
      unpublished += version - this.#runs.headOf(streamId);
      oldest = Math.min(oldest, since);
    }
    const oldestUnpublishedAgeMs = unpublished === 0 ? 0 : Math.max(0, Date.now() - oldest);
    return { log: this.#runs.log, head: this.#runs.head, streams, events: this.#runs.head, unpublished, oldestUnpublishedAgeMs };
  }
}
