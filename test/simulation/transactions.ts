/** What a device does in one transaction each, as `client/` implements it. */
import type { AppendDecision, RecordedBody } from "../../shared/append.ts";
import type { PendingCommand } from "../../shared/device/decider.ts";
import type { AwaitedEntries, OutboxEntry, ParkedEntry, PendingEntry } from "../../shared/device/outbox.ts";
import type { Refused } from "../../shared/device/push.ts";
import type { PageRequest, Replica, Scope } from "../../shared/device/replica.ts";
import type { Resolve } from "../../shared/device/resolution.ts";
import { EventIdReusedError, InvalidRequestError } from "../../shared/errors.ts";
import type { Commit } from "../../shared/event/commit.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { toVersion } from "../../shared/order.ts";
import type { FeedPage } from "../../shared/wire/wire.ts";
import type { PageWrite, Rules } from "./rules.ts";
import type { Content } from "./storage.ts";

export function append(content: Content, commit: Commit, rules: Rules, command?: PendingCommand): AppendDecision {
  const { streamId } = commit;
  const facts = { version: content.version(streamId), recorded: recordedBodies(content, commit) };
  const decision = rules.appendOnDevice(facts, commit);
  if (decision.kind !== "append") return decision;
  const parked = content.get("parked");
  const superseded = rules.supersede(
    parked.filter((entry) => entry.streamId === streamId),
    commit.events,
  );
  if (superseded.kind === "refused") return superseded;
  if (superseded.gone.length > 0)
    content.set(
      "parked",
      parked.filter((entry) => !superseded.gone.includes(entry)),
    );
  const seq = content.get("nextSeq");
  content.set("nextSeq", seq + 1);
  content.set("outbox", [
    ...content.get("outbox"),
    { ...commit, command, seq, state: "pending", firstVersion: decision.firstVersion, confirmed: 0 },
  ]);
  return decision;
}

function recordedBodies(content: Content, { streamId, events }: Pick<Commit, "streamId" | "events">): Map<string, RecordedBody> {
  const ids = new Set(events.map(({ id }) => id));
  const recorded = new Map<string, RecordedBody>();
  for (const event of content.confirmed(streamId)) if (ids.has(event.id)) recorded.set(event.id, event);
  for (const { firstVersion, events: own } of content.pending(streamId)) {
    for (const [i, body] of own.entries()) if (ids.has(body.id)) recorded.set(body.id, { ...body, version: toVersion(firstVersion + i) });
  }
  return recorded;
}

/** A stream outside of the scope that the app appends to is followed from now on. */
export function bringIntoScope(content: Content, streamId: string, rules: Rules): void {
  const replica = content.get("replica");
  content.set("replica", rules.withScope(replica, rules.scopeWithStreams(replica.scope, [streamId])));
}

export type PageOutcome =
  | { readonly kind: "fenced" }
  | { readonly kind: "stale"; readonly replica: Replica }
  | { readonly kind: "write"; readonly writes: readonly PageWrite[] };

export function decide(content: Content, term: number, page: FeedPage, asked: PageRequest, rules: Rules): PageOutcome {
  if (!rules.mayWrite(content.get("lease"), term)) return { kind: "fenced" };
  const replica = content.get("replica");
  const decision = rules.decidePage(replica, page, asked);
  if (decision.kind === "stale") return { kind: "stale", replica };
  return { kind: "write", writes: rules.pageTransactions(decision.replica, decision.events) };
}

export interface Written {
  readonly replica: Replica;
  readonly left: readonly number[];
  readonly changed: readonly number[];
  readonly parked: number;
  /** Streams whose pending or parked entries are others now. */
  readonly streams: ReadonlySet<string>;
}

export function writePage(
  content: Content,
  { replica, events }: PageWrite,
  rules: Rules,
  resolve: Resolve<ConfirmedEvent>,
  awaited: AwaitedEntries,
): Written {
  for (const event of events) content.addConfirmed(event);
  content.set("replica", replica);
  const left: number[] = [];
  const changed: number[] = [];
  const before = content.get("parked").length;
  const streams = new Set<string>();
  const arrivals = Map.groupBy(events, (event) => event.streamId);
  const known = { isBehind: rules.isBehind(replica), awaited };
  if (!known.isBehind) {
    for (const { kind, streamId } of awaited.values()) if (kind === "contested" && !arrivals.has(streamId)) arrivals.set(streamId, []);
  }
  for (const [streamId, arrived] of arrivals) {
    if (endParked(content, streamId, arrived, rules)) streams.add(streamId);
    const entries = content.pending(streamId);
    if (entries.length === 0) continue;
    const reconciled = rules.reconcile(entries, arrived, content.confirmedVersion(streamId), resolve, content.confirmed(streamId), known);
    const gone = [...reconciled.settled, ...reconciled.discarded].map(({ seq }) => seq);
    const parked = reconciled.changed.filter((entry) => entry.state === "parked");
    left.push(...gone, ...parked.map(({ seq }) => seq));
    changed.push(...reconciled.changed.filter((entry) => entry.state === "pending").map(({ seq }) => seq));
    replace(content, gone, [...reconciled.changed, ...reconciled.held]);
    if (gone.length + reconciled.changed.length + reconciled.held.length > 0) streams.add(streamId);
  }
  return { replica, left, changed, parked: content.get("parked").length - before, streams };
}

function endParked(content: Content, streamId: string, arrived: readonly ConfirmedEvent[], rules: Rules): boolean {
  const parked = content.get("parked");
  const ended = rules.arrivedAfterAll(
    parked.filter((entry) => entry.streamId === streamId),
    arrived,
  );
  if (ended.length === 0) return false;
  content.set(
    "parked",
    parked.filter((entry) => !ended.includes(entry)),
  );
  return true;
}

function replace(content: Content, gone: readonly number[], changed: readonly OutboxEntry[]): void {
  if (gone.length + changed.length === 0) return;
  const changes = new Map(changed.map((entry) => [entry.seq, entry]));
  const parked = changed.filter((entry) => entry.state === "parked");
  const outbox = content.get("outbox").flatMap((entry): PendingEntry[] => {
    if (gone.includes(entry.seq)) return [];
    const change = changes.get(entry.seq);
    if (change === undefined) return [entry];
    return change.state === "pending" ? [change] : [];
  });
  content.set("outbox", outbox);
  if (parked.length > 0) content.set("parked", [...content.get("parked"), ...parked]);
}

export type Recorded =
  | { readonly kind: "fenced" }
  | { readonly kind: "recorded"; readonly left: readonly number[]; readonly streams: ReadonlySet<string> };

export function recordRefusals(content: Content, term: number, refused: readonly Refused[], rules: Rules): Recorded {
  if (!rules.mayWrite(content.get("lease"), term)) return { kind: "fenced" };
  const parked = refused.flatMap(({ entry, reason }) => rules.parkFrom(content.pending(entry.streamId), entry, reason));
  replace(content, [], parked);
  return { kind: "recorded", left: parked.map(({ seq }) => seq), streams: new Set(parked.map(({ streamId }) => streamId)) };
}

/** @throws InvalidRequestError where it was resolved already, or its command is refused again, EventIdReusedError where the stream holds something else by its ids */
export function resolveConflict(
  content: Content,
  { seq }: ParkedEntry,
  how: "rebase" | "discard",
  rules: Rules,
  again: Resolve<ConfirmedEvent>,
): void {
  const parked = content.get("parked");
  const entry = parked.find((item) => item.seq === seq);
  if (entry === undefined) throw new InvalidRequestError("This conflict was resolved already.", { field: "conflict" });
  const next = content.get("nextSeq");
  const { streamId } = entry;
  const facts = { version: content.version(streamId), recorded: recordedBodies(content, entry) };
  const meant = how === "rebase" && facts.recorded.size === 0 ? decidedAgain(content, entry, again) : entry;
  const rebase = how === "rebase" ? rules.rebaseParked(meant, next, facts) : undefined;
  if (rebase?.kind === "refused") throw new EventIdReusedError();
  content.set(
    "parked",
    parked.filter((item) => item !== entry),
  );
  if (rebase?.kind !== "rebased") return;
  bringIntoScope(content, streamId, rules);
  content.set("nextSeq", next + 1);
  content.set("outbox", [...content.get("outbox"), rebase.entry]);
}

/** A command that was made on a history that was let go of may be at the edge already: it is not made another one. */
function decidedAgain(content: Content, parked: ParkedEntry, again: Resolve<ConfirmedEvent>): ParkedEntry {
  const { streamId, command, reason } = parked;
  if (command === undefined || reason.code === "log-mismatch") return { ...parked, command: undefined };
  const pending = content
    .pending(streamId)
    .flatMap(({ events, confirmed, firstVersion }) =>
      events.map((event, i) => ({ ...event, version: toVersion(firstVersion + i) })).slice(confirmed),
    );
  const ahead = [...content.confirmed(streamId), ...pending];
  const resolution = again({ ...parked, actualVersion: reason.actualVersion, theirs: [], recorded: [], ahead });
  if (resolution.kind !== "rebase") throw new InvalidRequestError(resolution.kind === "park" ? resolution.why : undefined);
  return { ...parked, events: resolution.events ?? parked.events };
}

/** Lets go of the confirmed copy and of the history that it is of, but not of what only this device has. */
export function reset(content: Content, rules: Rules): void {
  const kept = rules.keptByReset(content.get("outbox"));
  const detached = [...Map.groupBy(kept, (entry) => entry.streamId).values()].flatMap((entries) => rules.detach(entries));
  content.set(
    "outbox",
    detached.filter((entry) => entry.state === "pending").sort((a, b) => a.seq - b.seq),
  );
  content.set("parked", [...content.get("parked"), ...detached.filter((entry) => entry.state === "parked")]);
  content.set("replica", rules.emptyReplica(content.get("replica")));
  content.set("log", []);
  content.set("streams", new Map());
  content.set("snapshots", rules.snapshotsAfterReset(content.get("snapshots")));
  content.set("checkpoint", { position: 0 });
  content.set("lease", rules.nextTerm(content.get("lease")));
}

/** The app was opened with another filter. */
export function changeScope(content: Content, filter: Scope, rules: Rules): void {
  const replica = content.get("replica");
  content.set("replica", rules.withScope(replica, rules.scopeOfFilter(replica.scope, filter)));
}
