/**
 * A tab's part in sync. The tab is a candidate for the lead. It syncs while it leads, sends its calls to the leader if it does not, and
 * receives the messages of the other tabs.
 *
 *     sync() ──► leading? ── yes ──► the session, and so the sync machine
 *                  └──────── no ───► a message to the other tabs ── no leader confirms it ──► takes the lead
 *
 * `session.ts` does the work while a tab leads, and is loaded for that; `election.ts` decides which tab leads.
 */

import { UNHEARD } from "../../shared/device/leadership.ts";
import type { SyncState } from "../../shared/device/sync.ts";
import { errorFrom, type HeadwaterError, problemOf, StoreClosedError } from "../../shared/errors.ts";
import { unlessStorage } from "../storage/database.ts";
import { readReplica } from "../storage/device-log.ts";
import { loadPart } from "../tools/load-part.ts";
import { newId } from "../tools/new-id.ts";
import { Election, type Lead } from "./election.ts";
import type { Identity } from "./identity.ts";
import type { Session, SessionContext, SessionStatus } from "./session.ts";
import type { StatusBoard } from "./status.ts";
import { type TabMessage, Tabs } from "./tabs.ts";
import { unexpected } from "./unexpected.ts";

export interface SyncerOptions extends Omit<SessionContext, "onStep" | "onAnswered" | "pending"> {
  readonly name: string;
  readonly board: StatusBoard;
  /** When it is aborted, sync ends for good. */
  readonly ending: AbortSignal;
  /** Whether this tab decides commands for a decider and its version, e.g. `stock@2`. Default: it decides none. */
  readonly canDecide?: (decider: string | undefined) => boolean;
  /** Reads the data of `status` and `conflicts()` again. */
  readonly refresh: () => Promise<void>;
  /** Whether this tab may lead: not if the device's store belongs to another person or address. Default: it may. */
  readonly identity?: Pick<Identity, "isRefused" | "admitted" | "wake">;
}

interface SyncCall {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  timer?: ReturnType<typeof setTimeout>;
  /** Whether a leader has confirmed it since it was last sent. */
  isHeard: boolean;
}

/** Milliseconds until a tab takes the lead once more for a command of the same decider. */
const TAKE_OVER_EVERY = 60_000;

export class Syncer {
  readonly #options: SyncerOptions;
  readonly #tabs: Tabs;
  readonly #election: Election;
  /** This tab's calls of `sync()` that are not answered yet, by id. */
  readonly #calls = new Map<string, SyncCall>();
  #session: Session | undefined;
  /** The last one of this tab's sync machine. */
  #state: SyncState | undefined;
  /** Settles when this tab is no longer a candidate. */
  #candidacy: Promise<void> | undefined;
  /** The link, as JSON, that was sent to the other tabs last. */
  #lastSent = "";
  /** When this tab has taken the lead for a command, by the decider that it names. */
  readonly #tookOver = new Map<string, number>();

  constructor(options: SyncerOptions) {
    const { name, database, ending } = options;
    this.#options = options;
    this.#tabs = new Tabs(name, (message) => this.#onMessage(message));
    const lead: Lead = (term, deposed) => this.#lead(term, deposed);
    this.#election = new Election(name, database, lead, (error) => this.#onFailed(unexpected(error)), ending);
    const wake = () => this.#wake();
    globalThis.addEventListener?.("online", wake, { signal: ending });
    globalThis.document?.addEventListener("visibilitychange", wake, { signal: ending });
    ending.addEventListener("abort", () => this.#end(), { once: true });
  }

  /** Starts, once the database is open. */
  start(): void {
    if (this.#options.settings.automatic) this.#candidacy = this.#election.campaign(async () => this.#options.identity?.admitted());
    this.#tabs.post({ kind: "hello" });
  }

  /** Resolves when the outbox is empty and the feed is applied up to the head seen. */
  sync(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const call = newId();
    this.#calls.set(call, { resolve, reject, isHeard: false });
    this.#callLeader(call);
    if (!this.#options.settings.automatic) this.#candidacy ??= this.#campaignForCalls();
    return promise;
  }

  /** Call it after this tab has added to the outbox. */
  appended(): void {
    this.#push();
    this.#tabs.post({ kind: "appended" });
  }

  /** Asks the tab that leads for its connection. */
  ask(): void {
    this.#tabs.post({ kind: "hello" });
  }

  /** Call it after this tab has changed the data of `status` or `conflicts()`. */
  changed(): void {
    this.#tabs.post({ kind: "changed" });
  }

  /** Call it after this tab has changed the scope, or, with `isReset`, has reset the replica. */
  async redirected(isReset: boolean): Promise<void> {
    this.#tabs.post({ kind: "redirected", isReset });
    await this.#redirect(isReset);
  }

  /** Resolves when none of this tab's sync runs any more. */
  async idle(): Promise<void> {
    await this.#candidacy;
  }

  #end(): void {
    for (const call of [...this.#calls.keys()]) void this.#settle(call, new StoreClosedError());
    this.#session?.end("done");
    this.#tabs.close();
  }

  /** A store that is not automatic is a candidate only while calls of `sync()` wait. */
  async #campaignForCalls(): Promise<void> {
    while (this.#calls.size > 0 && !this.#options.ending.aborted) await this.#election.once();
    this.#candidacy = undefined;
  }

  async #lead(term: number, deposed: AbortSignal): Promise<"done" | "fenced"> {
    const { database, ending, board, settings, rules } = this.#options;
    // A tab that can't load what a leader needs leaves the lead to another tab, and tries again later.
    const [{ Session }] = await Promise.all([loadPart(() => import("./session.ts")), rules()]);
    const replica = await database.run(readReplica);
    const isWanted = settings.automatic || this.#calls.size > 0;
    if (deposed.aborted || ending.aborted || !isWanted) return "done";
    if (this.#state === undefined) board.update({ connection: "connecting" });
    const session = new Session(
      {
        ...this.#options,
        pending: () => board.current.pending,
        onStep: (state, status) => this.#show(state, status),
        onWritten: (change, after) => {
          this.#options.onWritten(change, after);
          this.changed();
        },
        onAnswered: (calls, error) => this.#onAnswered(calls, error),
      },
      term,
      replica,
      this.#state,
    );
    this.#session = session;
    deposed.addEventListener("abort", () => session.end("done"), { once: true });
    const running = session.run().finally(() => {
      session.end("done");
      this.#session = undefined;
    });
    for (const call of this.#calls.keys()) this.#callLeader(call);
    const outcome = await running;
    // If another tab leads now, its connection is the device's, and calls that still wait are sent to it.
    if (outcome === "done") this.#tabs.post({ kind: "hello" });
    for (const call of this.#calls.keys()) this.#callLeader(call);
    return outcome;
  }

  #onFailed(error: HeadwaterError): void {
    this.#options.board.update({ connection: "offline", problem: error });
    for (const call of [...this.#calls.keys()]) void this.#settle(call, error);
  }

  /**
   * Gives a call to the session of this tab, or sends it to the tab that leads. A timer repeats this until the call is answered. A tab can
   * lose the lead at any time, and the next leader does not know of the call.
   */
  #callLeader(call: string): void {
    const waiting = this.#calls.get(call);
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    waiting.timer = setTimeout(() => {
      if (this.#session === undefined && !waiting.isHeard) void this.#election.steal();
      waiting.isHeard = false;
      this.#callLeader(call);
    }, UNHEARD);
    if (this.#session === undefined) this.#tabs.post({ kind: "called", call });
    else this.#session.onCall(call);
  }

  #onAnswered(calls: readonly string[], error: HeadwaterError | undefined): void {
    const problem = error === undefined ? null : problemOf(error);
    for (const call of calls) {
      if (this.#calls.has(call)) void this.#settle(call, error);
      else this.#tabs.post({ kind: "answered", call, problem });
    }
  }

  /** Answers a call, after `status` was brought up to date for the caller. */
  async #settle(call: string, error?: HeadwaterError): Promise<void> {
    const waiting = this.#calls.get(call);
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    this.#calls.delete(call);
    await this.#options.refresh();
    if (error === undefined) waiting.resolve();
    else waiting.reject(error);
  }

  #onMessage(message: TabMessage): void {
    if (this.#options.ending.aborted) return;
    switch (message.kind) {
      case "appended":
        this.#push();
        return void this.#options.refresh();
      case "changed":
        return void this.#options.refresh();
      case "connection":
        if (this.#session !== undefined || message.database !== this.#options.database.tally.database) return;
        this.#options.board.update({ ...message.link, problem: message.problem && errorFrom(message.problem) });
        if (message.problem?.code === "decider-version") this.#takeOver(message.problem.decider);
        return;
      case "hello":
        this.#lastSent = "";
        this.#session?.show();
        // The new tab may have been opened with another filter.
        return void this.#redirect(false).catch(unlessStorage);
      case "redirected":
        return void this.#redirect(message.isReset).catch(unlessStorage);
      case "called":
        if (this.#session === undefined) return;
        this.#tabs.post({ kind: "heard", call: message.call });
        return this.#session.onCall(message.call);
      case "heard":
        return this.#onHeard(message.call);
      case "answered":
        return void this.#settle(message.call, message.problem === null ? undefined : errorFrom(message.problem));
      default:
        return message satisfies never;
    }
  }

  /** A leader has confirmed the call. */
  #onHeard(call: string): void {
    const waiting = this.#calls.get(call);
    if (waiting !== undefined) waiting.isHeard = true;
  }

  async #redirect(isReset: boolean): Promise<void> {
    const session = this.#session;
    // A tab that has just found the new database has ignored what was sent before.
    if (isReset) this.#lastSent = "";
    await this.#options.refresh();
    if (isReset) session?.end("fenced");
    else session?.give({ kind: "scope-changed", replica: await this.#options.database.run(readReplica) });
  }

  /**
   * The tab that leads has other code, and a command waits for that of this tab.
   *
   * @param decider with its version, as the command names it
   */
  #takeOver(decider: string | undefined): void {
    const { settings, identity, canDecide } = this.#options;
    if (decider === undefined || !settings.automatic || identity?.isRefused || canDecide?.(decider) !== true) return;
    const now = performance.now();
    // Another tab with this code may have it too: two of them do not take the lead from each other.
    if (now < (this.#tookOver.get(decider) ?? Number.NEGATIVE_INFINITY) + TAKE_OVER_EVERY) return;
    this.#tookOver.set(decider, now);
    void this.#election.steal();
  }

  #push(): void {
    if (this.#options.settings.automatic) this.#session?.give({ kind: "appended" });
  }

  #wake(): void {
    if (globalThis.document?.hidden) return;
    // A tab that was frozen may have missed what the leader sent.
    this.#tabs.post({ kind: "hello" });
    this.#options.identity?.wake();
    if (this.#options.settings.automatic) this.#session?.give({ kind: "woken" });
    void this.#options.refresh();
  }

  #show(state: SyncState, { problem, ...link }: SessionStatus): void {
    this.#state = state;
    // Another tab may have the token of the right person: it can lead. Waiting calls get the error first.
    if (problem?.code === "owner-mismatch" && this.#options.identity?.isRefused) queueMicrotask(() => this.#session?.end("done"));
    this.#options.board.update({ ...link, problem });
    const sent = JSON.stringify([link, problem?.message]);
    if (sent === this.#lastSent) return;
    this.#lastSent = sent;
    const { database } = this.#options.database.tally;
    this.#tabs.post({ kind: "connection", database, link, problem: problem === null ? null : problemOf(problem) });
  }
}
