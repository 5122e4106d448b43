/**
 * Appending on the device. Appends that are asked for while a transaction is under way go together in the next one: each
 * is still decided on its own, in the order in which it was asked for, but they share the cost of a durable commit.
 *
 * A tab remembers the versions that it left its streams at, and trusts them as long as nothing else has changed any: then
 * a group is decided and written with one request to read and one to write, which either confirms the trust or aborts.
 */
import type { IDBPDatabase } from "idb";
import { type AppendDecision, decideAppend, type RecordedBody, refusalMessage, type StreamFacts } from "../shared/append.ts";
import { assert } from "../shared/assert.ts";
import type { Commit } from "../shared/commit.ts";
import { errorOf } from "../shared/errors.ts";
import type { ConfirmedEvent } from "../shared/event.ts";
import { NO_STREAM, toPosition, toVersion, type Version } from "../shared/order.ts";
import type { PendingEntry } from "../shared/outbox.ts";
import type { StreamId } from "../shared/stream-id.ts";
import { type Database, type History, NEW_HISTORY, type Schema } from "./database.ts";
import { addToOutbox, streamEvents, versionOf, type WriteTx, whole } from "./device-log.ts";
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
const REMEMBERED_STREAMS = 10_000;

/** What this tab has seen of the database, and how to tell whether it is still so. */
interface Memory {
  readonly versions: Map<StreamId, Version>;
  /** `versions` hold while the history has this revision … */
  revision: number | undefined;
  /** … and the next bundle gets the key after this one. */
  lastKey: number | undefined;
}

export class Appender {
  readonly #database: Database;
  readonly #durability: IDBTransactionDurability;
  readonly #onAppended: (commits: number) => void;
  readonly #memory: Memory = { versions: new Map(), revision: undefined, lastKey: undefined };
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
    const memory = this.#memory;
    if (memory.versions.size > REMEMBERED_STREAMS) memory.versions.clear();
    const append = () => this.#database.run((db) => appendGroup(db, group, this.#durability, memory));
    try {
      return await append();
    } catch (error) {
      if (!(error instanceof Distrust)) throw error;
      memory.versions.clear();
      return await append();
    }
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
    reject(errorOf(decision.code, refusalMessage(decision), decision));
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

/** Something else may have changed versions since this tab saw them. Nothing of the group was kept. */
class Distrust extends Error {}

/**
 * Decides on what the tab remembers, and on what it reads of the other streams, and writes in the same transaction. Where
 * everything is remembered, the write goes out along with the request that checks the memory.
 *
 * @throws Distrust where the memory may be wrong
 */
async function appendGroup(
  db: IDBPDatabase<Schema>,
  group: readonly AppendRequest[],
  durability: IDBTransactionDurability,
  memory: Memory,
): Promise<Decided[]> {
  const facts = factsOf(group, memory);
  const unread = [...facts].filter(([, stream]) => !stream.isKnown);
  const tx: WriteTx = db.transaction(["events", "meta"], "readwrite", { durability });
  const { decisions, revision, keys } = await whole(tx, async () => {
    const early = unread.length === 0 ? appendPending(tx, group, facts) : undefined;
    const reads = unread.map(([streamId, stream]) => readStreamFacts(tx, streamId, stream, group));
    const [history = NEW_HISTORY] = await Promise.all([tx.objectStore("meta").get("history"), early, ...reads]);
    if (history.authority === "device") return appendLocally(tx, group, facts, history);
    const appended = await (early ?? appendPending(tx, group, facts));
    const trusted = unread.length < facts.size;
    if (trusted && (history.revision !== memory.revision || appended.keys[0] !== (memory.lastKey ?? 0) + 1)) throw new Distrust();
    return { ...appended, revision: history.revision };
  });
  // Without a write the key of the last bundle is not known, and so not what else may have been appended.
  if (keys.length > 0) remember(memory, facts, revision, keys);
  return decisions;
}

interface Appended {
  readonly decisions: Decided[];
  /** Of the bundles that were added to the outbox. */
  readonly keys: readonly number[];
}

async function appendPending(tx: WriteTx, group: readonly AppendRequest[], facts: ReadonlyMap<StreamId, Facts>): Promise<Appended> {
  const { decisions, entries } = decideGroup(group, facts);
  return { decisions, keys: await Promise.all(addToOutbox(tx, entries)) };
}

async function appendLocally(
  tx: WriteTx,
  group: readonly AppendRequest[],
  facts: ReadonlyMap<StreamId, Facts>,
  history: History,
): Promise<Appended & { readonly revision: number }> {
  const order = new LocalOrder(history);
  const { decisions } = decideGroup(group, facts, order);
  await Promise.all(order.write(tx));
  return { decisions, keys: [], revision: history.revision };
}

function remember(memory: Memory, facts: ReadonlyMap<StreamId, Facts>, revision: number, keys: readonly number[]): void {
  if (memory.revision !== revision || memory.lastKey === undefined || keys[0] !== memory.lastKey + 1) memory.versions.clear();
  memory.revision = revision;
  memory.lastKey = keys.at(-1);
  for (const [streamId, { version }] of facts) memory.versions.set(streamId, version);
}

type NewEntry = Omit<PendingEntry, "seq">;

/** Each commit of the group on its own, each on what the ones before it left. */
function decideGroup(
  group: readonly AppendRequest[],
  facts: ReadonlyMap<StreamId, Facts>,
  local?: LocalOrder,
): { decisions: Decided[]; entries: NewEntry[] } {
  const entries: NewEntry[] = [];
  const decisions = group.map(({ commit }): Decided => {
    const stream = facts.get(commit.streamId);
    assert(stream !== undefined, "the facts of every stream of the group are known");
    const decision = decideAppend(stream, commit);
    if (decision.kind === "duplicate") return { decision, position: stream.recorded.get(commit.events[0]?.id ?? "")?.position ?? null };
    if (decision.kind === "refused") return { decision, position: null };
    const { firstVersion } = decision;
    const position = local?.record(commit, firstVersion) ?? null;
    entries.push({ ...commit, state: "pending", firstVersion, confirmed: 0 });
    advance(stream, commit, firstVersion, position);
    return { decision, position };
  });
  return { decisions, entries };
}

/** A stream as the group finds it, and as each of its appends leaves it for the next. */
interface Facts extends StreamFacts {
  version: Version;
  readonly recorded: Map<string, RecordedBody & { readonly position: number | null }>;
  /** Whether a commit of the group may carry ids that the stream records; ids made just now can't be there. */
  mayRepeat: boolean;
  /** From memory: nothing has to be read. */
  isKnown: boolean;
}

function factsOf(group: readonly AppendRequest[], { versions }: Memory): Map<StreamId, Facts> {
  const facts = new Map<StreamId, Facts>();
  for (const { commit, mayRepeat } of group) {
    let stream = facts.get(commit.streamId);
    if (stream === undefined) {
      const version = versions.get(commit.streamId);
      stream = { version: version ?? NO_STREAM, recorded: new Map(), mayRepeat, isKnown: version !== undefined };
      facts.set(commit.streamId, stream);
    }
    stream.mayRepeat ||= mayRepeat;
    // Ids are not remembered. A stream that does not exist has none.
    stream.isKnown &&= !stream.mayRepeat || stream.version === NO_STREAM;
  }
  return facts;
}

function advance(stream: Facts, commit: Commit, firstVersion: Version, position: number | null): void {
  stream.version = toVersion(firstVersion + commit.events.length - 1);
  if (!stream.mayRepeat) return;
  for (const [i, body] of commit.events.entries()) {
    stream.recorded.set(body.id, { ...body, version: toVersion(firstVersion + i), position: position === null ? null : position + i });
  }
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
  readonly #events: ConfirmedEvent[] = [];
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
      this.#events.push({
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

  write(tx: WriteTx): Promise<unknown>[] {
    if (this.#events.length === 0) return [];
    const { authority, log, revision } = this.#history;
    const next: History = {
      authority,
      log: log ?? crypto.randomUUID(),
      position: this.#position,
      head: this.#position,
      revision: revision + 1,
    };
    const segments = toSegments(this.#events).map((segment) => tx.objectStore("events").put(segment));
    return [...segments, tx.objectStore("meta").put(next, "history")];
  }
}
