/**
 * Appends commits on the device. Appends that are called while a transaction runs share the next transaction. Each is still decided on its
 * own, in the order of the calls, but they share the cost of one durable write.
 *
 * If the tab remembers the versions of all streams of such a group (`version-memory.ts`), the append reads nothing.
 */
import type { IDBPDatabase } from "idb";
import { type AppendDecision, decideAppend, type RecordedBody, refusalError, type StreamFacts } from "../../shared/append.ts";
import { assert } from "../../shared/assert.ts";
import type { PendingCommand } from "../../shared/decider/command.ts";
import { type NewEntry, type ParkedEntry, supersede } from "../../shared/device/outbox.ts";
import type { Claim } from "../../shared/device/owner.ts";
import type { Replica } from "../../shared/device/replica.ts";
import type { Commit } from "../../shared/event/commit.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { NO_STREAM, toPosition, toVersion, type Version } from "../../shared/order.ts";
import type { StreamId } from "../../shared/stream-id.ts";
import type { AppendResult } from "../event-store.ts";
import { newId } from "../tools/new-id.ts";
import type { Database, Schema, StoreName } from "./database.ts";
import { addToOutbox, firstKey, parkedEntries, recordedEvents, replicaOf, versionOf, type WriteTx, whole } from "./device-log.ts";
import { changeOwner, claimed, ownerOf } from "./owner.ts";
import { toSegments } from "./segments.ts";
import { VersionMemory } from "./version-memory.ts";

/** A commit that is to be appended. */
export interface AppendRequest {
  readonly commit: Commit;
  /** True if the app gave some of the event ids: they may be recorded already. Ids that were generated just now can't be. */
  readonly mayRepeat: boolean;
  /** The command that the events were decided for; undefined if there is none. */
  readonly command?: PendingCommand | undefined;
}

interface Waiting extends AppendRequest {
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Called after each transaction.
 *
 * @param streamIds of the pending commits that it added, one for each
 * @param isParkedChanged whether the set of parked commits changed
 * @param replica the replica after the transaction, if the store orders its events itself; else undefined
 */
type OnAppended = (streamIds: readonly string[], isParkedChanged: boolean, replica: Replica | undefined) => void;

/** The most commits in one transaction. If a transaction fails, all appends that share it fail. */
const GROUP_COMMITS = 1000;

export class Appender {
  readonly #database: Database;
  readonly #durability: IDBTransactionDurability;
  readonly #onAppended: OnAppended;
  readonly #memory = new VersionMemory();
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(database: Database, durability: IDBTransactionDurability, onAppended: OnAppended) {
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

  /** Resolves when no append is running. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #drain(): Promise<void> {
    // After one microtask, all appends of the same tick are in the first transaction.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, GROUP_COMMITS);
      await this.#appendGroup(group).then(
        ({ decisions, ordered }) => {
          for (const [i, waiting] of group.entries()) settle(waiting, decisions[i]);
          const isAdded = ({ decision, position }: Decided) => decision.kind === "append" && position === null;
          this.#onAppended(
            group.flatMap(({ commit }, i) => (decisions[i] && isAdded(decisions[i]) ? [commit.streamId] : [])),
            decisions.some(({ superseded }) => superseded.length > 0),
            ordered?.after,
          );
        },
        (error: unknown) => {
          for (const waiting of group) waiting.reject(error);
        },
      );
    }
    // In the same microtask as the last check of `#waiting`, so that an append that comes now starts a new drain.
    this.#running = undefined;
  }

  async #appendGroup(group: readonly AppendRequest[]): Promise<Appended> {
    const append = () =>
      this.#database.run((db, isRepeated) => {
        // The first try may have been committed, although its connection was dead: each commit is looked up by its ids.
        const requests = isRepeated ? group.map((request) => ({ ...request, mayRepeat: true })) : group;
        return appendGroup(db, requests, this.#durability, this.#memory, this.#database.owner);
      });
    try {
      return await append();
    } catch (error) {
      if (!(error instanceof Distrust)) throw error;
      this.#memory.forget();
      return await append();
    }
  }
}

interface Decided {
  readonly decision: AppendDecision;
  /** The position of the first event; null while pending. */
  readonly position: number | null;
  /** Parked commits whose events this commit appends again. They are deleted. */
  readonly superseded: readonly ParkedEntry[];
}

function settle({ commit, mayRepeat, resolve, reject }: Waiting, decided: Decided | undefined): void {
  assert(decided !== undefined, "every append of a group has a decision");
  const { decision, position } = decided;
  if (decision.kind === "refused") {
    reject(refusalError(decision));
    return;
  }
  const { firstVersion, version } = decision;
  resolve({
    streamId: commit.streamId,
    firstVersion,
    version,
    position,
    pending: position === null,
    // Ids that were made for this append are recorded only if its own first try was committed.
    duplicate: decision.kind === "duplicate" && mayRepeat,
  });
}

/** Other code may have changed versions since this tab read them. Nothing of the group was written. */
class Distrust extends Error {}

/** @throws Distrust if the memory may be wrong; what `claimed` throws if the database is no longer of this owner */
async function appendGroup(
  db: IDBPDatabase<Schema>,
  group: readonly AppendRequest[],
  durability: IDBTransactionDurability,
  memory: VersionMemory,
  claim: Claim,
): Promise<Appended> {
  memory.startOn(db);
  const facts = factsOf(group, memory);
  const unread = [...facts].filter(([, stream]) => !stream.isKnown);
  const remembered = unread.length === 0 ? memory.replica : undefined;
  // If all versions of pending commits are remembered, the write is the only request. Its key shows whether the memory was right.
  const stores: StoreName[] = unread.length === 0 && remembered === undefined ? ["events"] : ["events", "meta"];
  const mayRepeat = group.some((request) => request.mayRepeat);
  const tx: WriteTx = db.transaction(mayRepeat ? [...stores, "parked"] : stores, "readwrite", { durability });
  const appended = await whole(tx, async () => {
    let first: unknown;
    if (mayRepeat) {
      for (const entry of await parkedEntries(tx)) facts.get(entry.streamId)?.parked.push(entry);
    }
    if (remembered !== undefined) {
      const [now, owner, ordered] = await Promise.all([replicaOf(tx), ownerOf(tx), appendLocally(tx, group, facts, remembered, false)]);
      if (!memory.holdsReplica(now) || claimed(owner, claim) !== owner) throw new Distrust();
      return ordered;
    }
    if (unread.length > 0) {
      const reads = unread.map(([streamId, stream]) => readStreamFacts(tx, streamId, stream, group));
      const [replica, any, owner] = await Promise.all([replicaOf(tx), firstKey(tx), ownerOf(tx), ...reads]);
      // It may have been emptied since this tab read it: what is appended must not become somebody else's.
      const now = claimed(owner, claim);
      if (now !== owner) await changeOwner(tx, now);
      if (replica.authority === "device") {
        if (unread.length < facts.size && !memory.holdsReplica(replica)) throw new Distrust();
        return appendLocally(tx, group, facts, replica, any === undefined);
      }
      first = any;
    }
    const pending = await appendPending(tx, group, facts);
    if (unread.length < facts.size && !memory.holds(pending.keys[0])) throw new Distrust();
    return { ...pending, wasEmpty: unread.length > 0 && first === undefined };
  });
  const { keys, wasEmpty, ordered } = appended;
  if (ordered !== undefined) memory.learnOrdered(facts, ordered.before, ordered.after, wasEmpty);
  else if (keys.length > 0) memory.learn(facts, keys, wasEmpty);
  return appended;
}

interface Appended {
  readonly decisions: Decided[];
  /** The keys of the groups that were added to the outbox. */
  readonly keys: readonly number[];
  /** True if the device held no event before. */
  readonly wasEmpty: boolean;
  /** The replica, if the store orders its events itself. */
  readonly ordered?: { readonly before: Replica; readonly after: Replica };
}

async function appendPending(
  tx: WriteTx,
  group: readonly AppendRequest[],
  facts: ReadonlyMap<StreamId, Facts>,
): Promise<Omit<Appended, "wasEmpty">> {
  const { decisions, entries } = decideGroup(group, facts);
  const gone = decisions.flatMap((decided) => decided.superseded).map(({ seq }) => tx.objectStore("parked").delete(seq));
  const [keys] = await Promise.all([Promise.all(addToOutbox(tx, entries)), ...gone]);
  return { decisions, keys };
}

async function appendLocally(
  tx: WriteTx,
  group: readonly AppendRequest[],
  facts: ReadonlyMap<StreamId, Facts>,
  before: Replica,
  wasEmpty: boolean,
): Promise<Appended> {
  const order = new LocalOrder(before);
  const { decisions } = decideGroup(group, facts, order);
  const { next: after, writes } = order.write(tx);
  await Promise.all(writes);
  return { decisions, keys: [], wasEmpty, ordered: { before, after } };
}

/** Decides each commit of the group on its own, on the state that the commits before it left. */
function decideGroup(
  group: readonly AppendRequest[],
  facts: ReadonlyMap<StreamId, Facts>,
  local?: LocalOrder,
): { decisions: Decided[]; entries: NewEntry[] } {
  const entries: NewEntry[] = [];
  const decisions = group.map(({ commit, command }): Decided => {
    const stream = facts.get(commit.streamId);
    assert(stream !== undefined, "every stream of a group has facts");
    const decision = decideAppend(stream, commit);
    const none = { decision, position: null, superseded: [] };
    if (decision.kind === "duplicate") return { ...none, position: stream.recorded.get(commit.events[0]?.id ?? "")?.position ?? null };
    if (decision.kind === "refused") return none;
    const superseded = supersede(stream.parked, commit.events);
    if (superseded.kind === "refused") return { ...none, decision: superseded };
    stream.parked = stream.parked.filter((entry) => !superseded.gone.includes(entry));
    const { firstVersion } = decision;
    const position = local?.record(commit, firstVersion) ?? null;
    entries.push({ ...commit, command, state: "pending", firstVersion, confirmed: 0 });
    advance(stream, commit, firstVersion, position);
    return { decision, position, superseded: superseded.gone };
  });
  return { decisions, entries };
}

/** The facts of a stream. Each append of the group updates them for the next one. */
interface Facts extends StreamFacts {
  version: Version;
  recorded: Map<string, RecordedBody & { readonly position: number | null }>;
  /** True if a commit of the group may carry event ids that the stream holds already. Ids that were generated just now can't be there. */
  mayRepeat: boolean;
  /** True if the version comes from memory: nothing has to be read. */
  isKnown: boolean;
  /** The stream's parked commits. They are read only if a commit of the group may repeat one of them. */
  parked: ParkedEntry[];
}

function factsOf(group: readonly AppendRequest[], memory: VersionMemory): Map<StreamId, Facts> {
  const facts = new Map<StreamId, Facts>();
  for (const { commit, mayRepeat } of group) {
    let stream = facts.get(commit.streamId);
    if (stream === undefined) {
      const version = memory.versionOf(commit.streamId);
      stream = { version: version ?? NO_STREAM, recorded: new Map(), mayRepeat, isKnown: version !== undefined, parked: [] };
      facts.set(commit.streamId, stream);
    }
    stream.mayRepeat ||= mayRepeat;
    // Event ids are not remembered. A stream that does not exist has none.
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
  stream.recorded = await recordedEvents(tx, streamId, wanted);
}

/** Orders the events of a store without `sync`, as the edge would. */
export class LocalOrder {
  readonly #events: ConfirmedEvent[] = [];
  readonly #replica: Replica;
  readonly #now = new Date().toISOString();
  #position: number;

  constructor(replica: Replica) {
    this.#replica = replica;
    this.#position = replica.position;
  }

  /** Gives the commit its positions, and returns the first. */
  record(commit: Pick<Commit, "streamId" | "events">, firstVersion: number): number {
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

  write(tx: WriteTx): { next: Replica; writes: Promise<unknown>[] } {
    if (this.#events.length === 0) return { next: this.#replica, writes: [] };
    const log = this.#replica.log ?? newId();
    const next: Replica = { ...this.#replica, log, position: this.#position, head: this.#position };
    const segments = toSegments(this.#events).map((segment) => tx.objectStore("events").put(segment));
    return { next, writes: [...segments, tx.objectStore("meta").put(next, "history")] };
  }
}
