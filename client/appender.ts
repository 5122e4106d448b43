/**
 * Appending on the device. Appends that are asked for while a transaction is under way go together in the next one: each
 * is still decided on its own, in the order in which it was asked for, but they share the cost of a durable commit.
 */
import type { IDBPDatabase } from "idb";
import { type AppendDecision, decideAppend, type RecordedBody, type StreamFacts } from "../shared/append.ts";
import { assert } from "../shared/assert.ts";
import type { Commit } from "../shared/commit.ts";
import { errorOf } from "../shared/errors.ts";
import type { ConfirmedEvent } from "../shared/event.ts";
import { toPosition, toVersion, type Version } from "../shared/order.ts";
import type { StreamId } from "../shared/stream-id.ts";
import { type Database, type History, NEW_HISTORY, type Schema } from "./database.ts";
import { streamEvents, toPendingRecord, versionOf, type WriteTx } from "./device-log.ts";
import type { AppendResult } from "./event-store.ts";
import { toSegments } from "./segments.ts";

/** A commit that is to be appended. */
export interface AppendRequest {
  readonly commit: Commit;
  /** Some of its ids come from the app, so that they may be recorded already; ids made just now can't be. */
  readonly mayRepeat: boolean;
}

interface Waiting extends AppendRequest {
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Commits in one transaction at most: a failed one fails all that share it. */
const GROUP_COMMITS = 1000;
/** Streams whose version is remembered at most. */
const KNOWN_VERSIONS = 10_000;

export class Appender {
  readonly #database: Database;
  readonly #durability: IDBTransactionDurability;
  readonly #onAppended: (commits: number) => void;
  /** Versions as this tab left them. Another tab, or sync, may have moved on: a guess, to be checked. */
  readonly #versions = new Map<StreamId, Version>();
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  /** @param onAppended told after each transaction how many pending commits it added */
  constructor(database: Database, durability: IDBTransactionDurability, onAppended: (commits: number) => void) {
    this.#database = database;
    this.#durability = durability;
    this.#onAppended = onAppended;
  }

  append(request: AppendRequest): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...request, resolve, reject });
      this.#running ??= this.#drain();
    });
  }

  /** Resolves when no append is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #drain(): Promise<void> {
    // One turn of the microtask queue lets all appends of the same tick join the first transaction.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, GROUP_COMMITS);
      try {
        const decisions = await this.#appendGroup(group);
        this.#onAppended(decisions.filter((decided) => decided.decision.kind === "append" && decided.position === null).length);
        for (const [i, waiting] of group.entries()) settle(waiting, decisions[i]);
      } catch (error) {
        for (const waiting of group) waiting.reject(error);
      }
    }
    // In the same turn as the last look at what waits: an append that comes now must start anew.
    this.#running = undefined;
  }

  async #appendGroup(group: readonly AppendRequest[]): Promise<Decided[]> {
    if (this.#versions.size > KNOWN_VERSIONS) this.#versions.clear();
    const guess = guessFacts(group, this.#versions);
    if (guess !== undefined) {
      const decisions = await this.#database.run((db) => appendGroup(db, group, this.#durability, this.#versions, guess));
      if (decisions !== undefined) return decisions;
    }
    const decisions = await this.#database.run((db) => appendGroup(db, group, this.#durability, this.#versions));
    assert(decisions !== undefined, "only a guess can turn out to be wrong");
    return decisions;
  }
}

interface Decided {
  readonly decision: AppendDecision;
  /** Of the first event; null while pending. */
  readonly position: number | null;
}

function settle({ commit, resolve, reject }: Waiting, decided: Decided | undefined): void {
  assert(decided !== undefined, "every append of a group is decided");
  const { decision, position } = decided;
  if (decision.kind === "refused") {
    reject(errorOf(decision.code, undefined, decision));
    return;
  }
  const { firstVersion, version } = decision;
  resolve({
    streamId: commit.streamId,
    firstVersion,
    version,
    position,
    pending: position === null,
    duplicate: decision.kind === "duplicate",
  });
}

/**
 * Decides and writes a group in one transaction. With a guess, the writes are asked for along with the reads that check
 * it, which spares a lone append the way to the database and back; the reads come first, so they see what was there before.
 *
 * @returns undefined where the guess was wrong: the transaction was aborted, and nothing of it was kept
 */
async function appendGroup(
  db: IDBPDatabase<Schema>,
  group: readonly AppendRequest[],
  durability: IDBTransactionDurability,
  versions: Map<StreamId, Version>,
  guess?: Map<StreamId, Facts>,
): Promise<Decided[] | undefined> {
  const tx: WriteTx = db.transaction(["segments", "outbox", "meta"], "readwrite", { durability });
  const done = tx.done;
  // Where a request fails, its own error tells more than the transaction's; this one is awaited on every other path.
  done.catch(() => undefined);
  const read = Promise.all([readFacts(tx, group), tx.objectStore("meta").get("history")]);
  if (guess !== undefined) {
    const guessed = new Map([...guess].map(([streamId, { version }]) => [streamId, version]));
    const { decisions, writes } = decideGroup(tx, group, guess);
    const [facts, history = NEW_HISTORY] = await read;
    if (history.authority === "device" || [...facts].some(([streamId, { version }]) => guessed.get(streamId) !== version)) {
      for (const write of writes) write.catch(() => undefined); // aborted, as they should be
      tx.abort();
      versions.clear();
      return undefined;
    }
    await Promise.all([...writes, done]);
    for (const [streamId, { version }] of guess) versions.set(streamId, version);
    return decisions;
  }
  const [facts, history = NEW_HISTORY] = await read;
  const local = history.authority === "device" ? new LocalOrder(history) : undefined;
  const { decisions, writes } = decideGroup(tx, group, facts, local);
  if (local !== undefined && local.events.length > 0) {
    for (const segment of toSegments(local.events)) writes.push(tx.objectStore("segments").add(segment));
    writes.push(tx.objectStore("meta").put(local.history(), "history"));
  }
  await Promise.all([...writes, done]);
  if (local === undefined) for (const [streamId, { version }] of facts) versions.set(streamId, version);
  return decisions;
}

/** Each commit of the group on its own, each on what the ones before it left. */
function decideGroup(
  tx: WriteTx,
  group: readonly AppendRequest[],
  facts: ReadonlyMap<StreamId, Facts>,
  local?: LocalOrder,
): { decisions: Decided[]; writes: Promise<unknown>[] } {
  const writes: Promise<unknown>[] = [];
  const decisions = group.map(({ commit }): Decided => {
    const stream = facts.get(commit.streamId);
    assert(stream !== undefined, "the facts of every stream of the group are known");
    const decision = decideAppend(stream, commit);
    if (decision.kind === "duplicate") return { decision, position: stream.recorded.get(commit.events[0]?.id ?? "")?.position ?? null };
    if (decision.kind === "refused") return { decision, position: null };
    const { firstVersion } = decision;
    const position = local?.record(commit, firstVersion) ?? null;
    if (local === undefined)
      writes.push(tx.objectStore("outbox").add(toPendingRecord({ ...commit, state: "pending", firstVersion, confirmed: 0 })));
    advance(stream, commit, firstVersion, position);
    return { decision, position };
  });
  return { decisions, writes };
}

/** Undefined where a version is not known, or where ids have to be looked up. */
function guessFacts(group: readonly AppendRequest[], versions: ReadonlyMap<StreamId, Version>): Map<StreamId, Facts> | undefined {
  const facts = new Map<StreamId, Facts>();
  for (const { commit, mayRepeat } of group) {
    const version = versions.get(commit.streamId);
    if (version === undefined || mayRepeat) return undefined;
    facts.set(commit.streamId, { version, recorded: new Map(), mayRepeat });
  }
  return facts;
}

/** A stream as the group finds it, and as each of its appends leaves it for the next. */
interface Facts extends StreamFacts {
  version: Version;
  readonly recorded: Map<string, RecordedBody & { readonly position: number | null }>;
  /** Whether a commit of the group may carry ids that the stream records; ids made just now can't be there. */
  mayRepeat: boolean;
}

function advance(stream: Facts, commit: Commit, firstVersion: Version, position: number | null): void {
  stream.version = toVersion(firstVersion + commit.events.length - 1);
  if (!stream.mayRepeat) return;
  for (const [i, body] of commit.events.entries()) {
    stream.recorded.set(body.id, { ...body, version: toVersion(firstVersion + i), position: position === null ? null : position + i });
  }
}

async function readFacts(tx: WriteTx, group: readonly AppendRequest[]): Promise<Map<StreamId, Facts>> {
  const streams = new Map<StreamId, Facts>();
  for (const { commit, mayRepeat } of group) {
    const known = streams.get(commit.streamId);
    if (known === undefined) streams.set(commit.streamId, { version: toVersion(0), recorded: new Map(), mayRepeat });
    else known.mayRepeat ||= mayRepeat;
  }
  await Promise.all([...streams].map(([streamId, stream]) => readStreamFacts(tx, streamId, stream, group)));
  return streams;
}

async function readStreamFacts(tx: WriteTx, streamId: StreamId, stream: Facts, group: readonly AppendRequest[]): Promise<void> {
  stream.version = await versionOf(tx, streamId);
  if (!stream.mayRepeat || stream.version === 0) return;
  const wanted = new Set(group.flatMap(({ commit }) => (commit.streamId === streamId ? commit.events.map((event) => event.id) : [])));
  for (const event of await streamEvents(tx, streamId, 1, Number.POSITIVE_INFINITY))
    if (wanted.has(event.id)) stream.recorded.set(event.id, event);
}

/** A store that nobody syncs orders its events itself, as the edge would. */
class LocalOrder {
  readonly events: ConfirmedEvent[] = [];
  readonly #history: History;
  readonly #now = new Date().toISOString();
  #position: number;

  constructor(history: History) {
    this.#history = history;
    this.#position = history.position;
  }

  /** Gives the commit its positions and returns the first. */
  record(commit: Commit, firstVersion: number): number {
    const first = this.#position + 1;
    for (const [i, body] of commit.events.entries()) {
      this.#position++;
      this.events.push({
        ...body,
        streamId: commit.streamId,
        version: toVersion(firstVersion + i),
        position: toPosition(this.#position),
        recordedAt: this.#now,
        actor: null,
      });
    }
    return first;
  }

  history(): History {
    return { ...this.#history, log: this.#history.log ?? crypto.randomUUID(), position: this.#position, head: this.#position };
  }
}
