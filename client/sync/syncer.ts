/**
 * A tab's part in sync: it stands for election, leads or asks the one that does, and hears of what the others did.
 *
 *     sync() ──► leading? ── yes ──► the session, and so the machine
 *                  └──────── no ───► told to the other tabs ── nobody hears ──► takes the lead
 *
 * What happens while a tab leads is the session's matter (`session.ts`), who leads the election's (`election.ts`).
 */

import { linkStatusOf, type SyncState } from "../../shared/device/sync.ts";
import { errorOf, type HeadwaterError, StoreClosedError } from "../../shared/errors.ts";
import { problemOf } from "../../shared/wire/wire.ts";
import { unlessStorage } from "../storage/database.ts";
import { readReplica } from "../storage/device-log.ts";
import { newId } from "../tools/new-id.ts";
import { Election } from "./election.ts";
import { Session, type SessionContext } from "./session.ts";
import type { StatusBoard } from "./status.ts";
import { type Problem, type TabMessage, Tabs } from "./tabs.ts";

export interface SyncerOptions extends Omit<SessionContext, "onStep" | "onAnswered"> {
  readonly name: string;
  readonly board: StatusBoard;
  /** Sync ends for good. */
  readonly ending: AbortSignal;
  /** Reads anew what `status` and `conflicts()` tell. */
  readonly refresh: () => Promise<void>;
}

/** How long an call may stay unheard before this tab leads itself, and how soon one that was heard is told again, in milliseconds. */
const UNHEARD = 1_500;

interface SyncCall {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  timer?: ReturnType<typeof setTimeout>;
}

export class Syncer {
  readonly #options: SyncerOptions;
  readonly #tabs: Tabs;
  readonly #election: Election;
  /** What this tab's callers wait for. */
  readonly #calls = new Map<string, SyncCall>();
  #session: Session | undefined;
  #standing: Promise<void> | undefined;
  /** What the other tabs were told last of how this one stands to the edge. */
  #told = "";

  constructor(options: SyncerOptions) {
    const { name, database, ending } = options;
    this.#options = options;
    this.#tabs = new Tabs(name, (message) => this.#hear(message));
    const onFailed = (error: HeadwaterError) => this.#onFailed(error);
    this.#election = new Election(name, database, (term, deposed) => this.#lead(term, deposed), onFailed, ending);
    const wake = () => this.#wake();
    globalThis.addEventListener?.("online", wake, { signal: ending });
    globalThis.document?.addEventListener("visibilitychange", wake, { signal: ending });
    ending.addEventListener("abort", () => this.#end(), { once: true });
  }

  /** The database is open. */
  start(): void {
    if (this.#options.settings.automatic) this.#standing = this.#election.stand();
    this.#tabs.tell({ kind: "hello" });
  }

  /** Resolves when the outbox is empty and the feed is applied up to the head seen. */
  sync(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const call = newId();
    this.#calls.set(call, { resolve, reject });
    if (this.#session === undefined) this.#callLeader(call);
    else this.#session.onCall(call);
    if (!this.#options.settings.automatic) this.#standing ??= this.#standForAsks();
    return promise;
  }

  /** This tab has added to the outbox. */
  appended(): void {
    this.#push();
    this.#tabs.tell({ kind: "appended" });
  }

  /** This tab has changed what `status` or `conflicts()` tells. */
  changed(): void {
    this.#tabs.tell({ kind: "changed" });
  }

  /** This tab has changed what the device follows. */
  async redirected(isReset: boolean): Promise<void> {
    this.#tabs.tell({ kind: "redirected", isReset });
    await this.#redirect(isReset);
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    await this.#standing;
  }

  #end(): void {
    for (const call of [...this.#calls.keys()]) void this.#settle(call, new StoreClosedError());
    this.#session?.end("done");
    this.#tabs.close();
  }

  async #standForAsks(): Promise<void> {
    while (this.#calls.size > 0 && !this.#options.ending.aborted) await this.#election.once();
    this.#standing = undefined;
  }

  async #lead(term: number, deposed: AbortSignal): Promise<"done" | "fenced"> {
    const { database, ending, board, settings } = this.#options;
    const replica = await database.run(readReplica);
    const isWanted = settings.automatic || this.#calls.size > 0;
    if (deposed.aborted || ending.aborted || !isWanted) return "done";
    board.update({ connection: "connecting" });
    const session = new Session(
      {
        ...this.#options,
        onStep: (state) => this.#show(state),
        onWritten: (change, after) => {
          this.#options.onWritten(change, after);
          this.changed();
        },
        onAnswered: (calls, error) => this.#onAnswered(calls, error),
      },
      term,
      replica,
    );
    this.#session = session;
    deposed.addEventListener("abort", () => session.end("done"), { once: true });
    const running = session.run();
    for (const [call, { timer }] of this.#calls) {
      clearTimeout(timer);
      session.onCall(call);
    }
    const outcome = await running;
    this.#session = undefined;
    // Whoever waits here waits for the next leader.
    if (outcome === "done") for (const call of this.#calls.keys()) this.#callLeader(call);
    return outcome;
  }

  #onFailed(error: HeadwaterError): void {
    this.#options.board.update({ connection: "offline", problem: error });
    for (const call of [...this.#calls.keys()]) void this.#settle(call, error);
  }

  #callLeader(call: string): void {
    const waiting = this.#calls.get(call);
    if (waiting === undefined) return;
    this.#tabs.tell({ kind: "called", call });
    clearTimeout(waiting.timer);
    waiting.timer = setTimeout(() => void this.#election.steal(), UNHEARD);
  }

  #onAnswered(calls: readonly string[], error: HeadwaterError | undefined): void {
    const problem = error === undefined ? null : problemOf(error);
    for (const call of calls) {
      if (this.#calls.has(call)) void this.#settle(call, error);
      else this.#tabs.tell({ kind: "answered", call, problem });
    }
  }

  /** Whoever waited finds the status as it is now. */
  async #settle(call: string, error?: HeadwaterError): Promise<void> {
    const waiting = this.#calls.get(call);
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    this.#calls.delete(call);
    await this.#options.refresh();
    if (error === undefined) waiting.resolve();
    else waiting.reject(error);
  }

  #hear(message: TabMessage): void {
    if (this.#options.ending.aborted) return;
    switch (message.kind) {
      case "appended":
        this.#push();
        return void this.#options.refresh();
      case "changed":
        return void this.#options.refresh();
      case "connection":
        if (this.#session === undefined) this.#options.board.update({ ...message.stands, problem: errorFrom(message.problem) });
        return;
      case "hello":
        this.#told = "";
        return this.#session?.show();
      case "redirected":
        return void this.#redirect(message.isReset).catch(unlessStorage);
      case "called":
        if (this.#session === undefined) return;
        this.#tabs.tell({ kind: "heard", call: message.call });
        return this.#session.onCall(message.call);
      case "heard":
        return this.#onHeard(message.call);
      case "answered":
        return void this.#settle(message.call, errorFrom(message.problem) ?? undefined);
      default:
        return message satisfies never;
    }
  }

  /** A leader that is lost before it answers is followed by another, which has not heard. */
  #onHeard(call: string): void {
    const waiting = this.#calls.get(call);
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    waiting.timer = setTimeout(() => this.#callLeader(call), UNHEARD);
  }

  async #redirect(isReset: boolean): Promise<void> {
    const session = this.#session;
    await this.#options.refresh();
    if (isReset) session?.end("fenced");
    else session?.give({ kind: "scope-changed", replica: await this.#options.database.run(readReplica) });
  }

  #push(): void {
    if (this.#options.settings.automatic) this.#session?.give({ kind: "appended" });
  }

  #wake(): void {
    if (globalThis.document?.hidden) return;
    if (this.#options.settings.automatic) this.#session?.give({ kind: "woken" });
    void this.#options.refresh();
  }

  #show(state: SyncState): void {
    let acknowledged = 0;
    for (const { kind } of state.awaited.values()) if (kind === "taken") acknowledged++;
    const { connection, problem } = linkStatusOf(state);
    const stands = { connection, acknowledged };
    this.#options.board.update({ ...stands, problem });
    const told = JSON.stringify([stands, problem?.message]);
    if (told === this.#told) return;
    this.#told = told;
    this.#tabs.tell({ kind: "connection", stands, problem: problem === null ? null : problemOf(problem) });
  }
}

function errorFrom(problem: Problem | null): HeadwaterError | null {
  if (problem === null) return null;
  const { code, detail, ...details } = problem;
  return errorOf(code, detail, details);
}
