/**
 * Sync over HTTP: pull the feed, push the outbox, pull again until both sides agree. What is decided here is only the
 * order of the steps; what becomes of commits is decided in `shared/outbox.ts` and `shared/push.ts`.
 *
 *     pull to the head ──► push the oldest pending commits ──► more to push? ── yes ──┐
 *          ▲                            ▲                                             │
 *          │                            └─────────────────────────────────────────────┘
 *          └── acknowledged, but not in the feed yet ── wait ◄── no ── outbox empty ──► done
 */
import { HeadwaterError, LogMismatchError, PayloadTooLargeError, remedyOf, StoreClosedError, UnavailableError } from "../shared/errors.ts";
import type { Limits } from "../shared/limits.ts";
import type { PendingEntry } from "../shared/outbox.ts";
import { judgePush, nextPush, type PushOutcome, rejection } from "../shared/push.ts";

import { bundleKeyOf, entriesOf } from "./bundles.ts";
import { type Database, NEW_HISTORY } from "./database.ts";
import { bundlesFrom, isOutboxEmpty } from "./device-log.ts";
import { type EdgeCall, pushCommits, readFeed } from "./edge-call.ts";
import { applyPage, parkRefused } from "./page.ts";

/** How a device stands to its edge. */
export type Connection = "local" | "offline" | "connecting" | "live" | "unauthorized" | "diverged" | "outdated";

export interface SyncListener {
  connection(connection: Connection): void;
  /** Something that `status` or `conflicts()` tells has changed in the database. */
  changed(): Promise<void>;
}

/** Waits for the log to bring what it has acknowledged, in milliseconds, before sync gives up for now. */
const LAG_WAITS = [20, 50, 100, 200, 400, 800, 1500, 3000];

interface Unsent {
  readonly entry: PendingEntry;
  /** Characters of its events as JSON. */
  readonly size: number;
}

export class Syncer {
  readonly #database: Database;
  readonly #edge: EdgeCall;
  readonly #limits: Limits;
  readonly #lockName: string;
  readonly #listener: SyncListener;
  /** Commits that the edge has and the feed has not brought yet. Losing this sends them once more, as duplicates. */
  readonly #acknowledged = new Set<number>();
  readonly #closing: AbortSignal;
  #running: Promise<void> | undefined;
  #again: Promise<void> | undefined;

  constructor(database: Database, edge: EdgeCall, limits: Limits, name: string, listener: SyncListener, closing: AbortSignal) {
    this.#database = database;
    this.#edge = edge;
    this.#limits = limits;
    this.#lockName = `headwater:${name}`;
    this.#listener = listener;
    this.#closing = closing;
  }

  /** Resolves when the outbox is empty and the feed is applied up to the head seen. One at a time. */
  sync(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#once().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    // The run under way may have read the outbox before the caller's last append: one more covers all who ask meanwhile.
    this.#again ??= this.#running
      .catch(() => undefined) // its own caller is told
      .then(() => {
        this.#again = undefined;
        return this.sync();
      });
    return this.#again;
  }

  /** Resolves when no sync is under way, however it ended. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined); // told to whoever called sync()
  }

  async #once(): Promise<void> {
    this.#listener.connection("connecting");
    try {
      await this.#exclusive(() => this.#untilSettled());
      this.#listener.connection("live");
    } catch (error) {
      // What broke off because the store is being closed says nothing of the edge.
      this.#throwIfClosed();
      this.#listener.connection(connectionAfter(error));
      throw error;
    } finally {
      if (!this.#closing.aborted) await this.#listener.changed();
    }
  }

  /** One tab of a device syncs at a time. */
  async #exclusive(work: () => Promise<void>): Promise<void> {
    const locks = globalThis.navigator?.locks;
    if (locks === undefined) return work();
    await locks.request(this.#lockName, { signal: this.#closing }, work);
  }

  async #untilSettled(): Promise<void> {
    for (let waits = 0; ; ) {
      await this.#pull();
      const sent = await this.#push();
      await this.#pull();
      if (await this.#database.run(isOutboxEmpty)) return;
      if (sent) {
        waits = 0;
        continue;
      }
      const wait = LAG_WAITS[waits++];
      if (wait === undefined) {
        throw new UnavailableError("The edge has taken the commits, but its log has not brought them yet; sync again later.");
      }
      await this.#pause(wait);
    }
  }

  async #pull(): Promise<void> {
    for (;;) {
      this.#throwIfClosed();
      const history = (await this.#database.run((db) => db.get("meta", "history"))) ?? NEW_HISTORY;
      const page = await readFeed(this.#edge, {
        after: history.position,
        limit: this.#limits.pageEvents,
        ...(history.log === null ? {} : { log: history.log }),
      });
      assertSameLog(history.log, page.log);
      if (page.position === history.position && history.log === page.log && history.head === page.head) return;
      await this.#database.run((db) => applyPage(db, page, history.position));
      if (page.position >= page.head) return;
    }
  }

  /** Answers whether there was anything to send. */
  async #push(): Promise<boolean> {
    const { pushCommits, pushStreams, bodyBytes } = this.#limits;
    const whole = { commits: pushCommits, streams: pushStreams, size: bodyBytes / 4 };
    let bounds = whole;
    let after = 0;
    let unsent: readonly Unsent[] = [];
    for (;;) {
      this.#throwIfClosed();
      if (unsent.length === 0) unsent = await this.#unsent(after);
      const batch = nextPush(unsent, bounds).map((item) => item.entry);
      const last = batch.at(-1);
      if (last === undefined) return after > 0;
      try {
        const refused = await this.#send(batch);
        unsent = refused.length === 0 ? unsent.slice(batch.length) : [];
        if (refused.length > 0) await this.#park(refused);
        bounds = whole;
      } catch (error) {
        if (!(error instanceof PayloadTooLargeError)) throw error;
        if (batch.length > 1) {
          bounds = { ...bounds, commits: Math.ceil(batch.length / 2) };
          continue;
        }
        await this.#park([{ entry: last, reason: rejection(error.code, error.message) }]);
        unsent = [];
      }
      after = last.seq;
    }
  }

  /** Answers what the edge refused. */
  async #send(batch: readonly PendingEntry[]): Promise<PushOutcome["refused"]> {
    const { log: followed } = (await this.#database.run((db) => db.get("meta", "history"))) ?? NEW_HISTORY;
    const { log, results } = await pushCommits(this.#edge, batch, followed ?? undefined);
    assertSameLog(followed, log);
    const { acknowledged, refused } = judgePush(batch, results);
    for (const seq of acknowledged) this.#acknowledged.add(seq);
    return refused;
  }

  /** The oldest commits behind the one of this `seq` that the edge is not known to have; empty where there is none. */
  async #unsent(after: number): Promise<Unsent[]> {
    for (let key = bundleKeyOf(after); ; ) {
      const bundles = await this.#database.run((db) => bundlesFrom(db, key));
      const last = bundles.at(-1);
      if (last === undefined) return [];
      const items = bundles
        .flatMap((bundle) => entriesOf(bundle))
        .filter(({ seq }) => seq > after && !this.#acknowledged.has(seq))
        .map((entry) => ({ entry, size: JSON.stringify(entry.events).length }));
      if (items.length > 0) return items;
      key = last.key + 1;
    }
  }

  async #park(refused: Parameters<typeof parkRefused>[1]): Promise<void> {
    await this.#database.run((db) => parkRefused(db, refused));
    await this.#listener.changed();
  }

  async #pause(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#closing.addEventListener(
        "abort",
        () => {
          clearTimeout(timer);
          resolve();
        },
        { once: true },
      );
    });
  }

  #throwIfClosed(): void {
    if (this.#closing.aborted) throw new StoreClosedError();
  }
}

/** The edge compares where it is told; an answer is compared all the same, before anything of it is kept. */
function assertSameLog(known: string | null, answered: string | null): void {
  if (known !== null && answered !== null && known !== answered) throw new LogMismatchError(undefined, { log: answered });
}

function connectionAfter(error: unknown): Connection {
  if (!(error instanceof HeadwaterError)) return "offline";
  switch (remedyOf(error.code)) {
    case "authenticate":
      return "unauthorized";
    case "ask":
      return "diverged";
    default:
      return error.code === "forbidden" ? "unauthorized" : "offline";
  }
}
