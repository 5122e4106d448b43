/**
 * A script on a server has a store of its own at the edge, of which it knows every event: it pushes commits until they are answered. When
 * the world has healed, it reads the store in every way there is, and compares what it reads with what it knows.
 */
import type { Commit } from "../../../shared/event/commit.ts";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { toVersion } from "../../../shared/order.ts";
import { eventId } from "../identity.ts";
import { Script } from "../script.ts";
import { heldBack, isEventStream } from "../strangers.ts";
import { signToken } from "../token.ts";
import { all, certainly, compare, errorOf, type Habit, type HabitParts, insist, nowAndThen } from "./habit.ts";
import { readPartly } from "./partly.ts";

const SCRIPT_STORE = "scripted";
const STREAMS = ["Permit-1", "Permit-2", "Permit-3", "Stock-1", "Ticket-1", "Ticket-2", "Note"];
const TYPES = ["Written", "Noted", "Closed"];

export type EdgeStore = ReturnType<Script["client"]["connectStore"]>;

interface Known {
  readonly parts: HabitParts;
  readonly script: Script;
  readonly edge: EdgeStore;
  /** The ids of the events of each stream. */
  readonly streams: Map<string, string[]>;
  /** Events that may cause others. */
  readonly causes: ConfirmedEvent[];
  made: number;
}

export const runScript: Habit = async (parts) => {
  const script = new Script(parts.ground, parts.name, parts.network);
  const isHeldBack = parts.ground.random.chance(0.2);
  const token = signToken(parts.name, { stores: [SCRIPT_STORE], until: Number.POSITIVE_INFINITY });
  const url = `http://edge/v1/${SCRIPT_STORE}/`;
  const fetch = isHeldBack ? holdingStreams(script.fetch) : script.fetch;
  const limits = { pageEvents: 5, pushStreams: 3 };
  const edge = script.client.connectStore({ url, token: () => token, fetch: fetch as typeof globalThis.fetch, retries: 2, limits });
  const known: Known = { parts, script, edge, streams: new Map(), causes: [], made: 0 };
  await nowAndThen(parts, script, () => push(known));
  await untilPublished(known);
  const events = await certainly(script.client, script, () => all(edge.readAll()));
  compareAll(known, events);
  await readSome(known, events);
  await readStreams(known);
  await readPartly(parts, script, SCRIPT_STORE, events);
  await edge.close();
  compare(parts, "a call of a closed store", await errorOf(script.client, () => edge.head()), { code: "store-closed" });
};

/** Behind a proxy that holds server-sent events back, for ever. */
function holdingStreams(fetch: Script["fetch"]): Script["fetch"] {
  return async (...request) => {
    const answer = await fetch(...request);
    return isEventStream(answer) ? heldBack(answer, Number.POSITIVE_INFINITY) : answer;
  };
}

/** Commits to some streams at once. Each is answered on its own. */
async function push(known: Known): Promise<void> {
  const { parts, script, edge, streams, causes } = known;
  const { random } = parts.ground;
  const before = new Map([...streams].map(([id, events]) => [id, events.length]));
  const some = Array.from({ length: random.between(1, 2) }, () => random.pick(STREAMS));
  const commits = Array.from({ length: random.between(1, 4) }, () => commitTo(known, random.pick(some)));
  const results = await insist(script.client, script, () => edge.push(commits));
  // A push that is too large for this edge is not taken at all.
  if (results instanceof script.client.HeadwaterError) return compare(parts, "a push", results.code, "payload-too-large");
  for (const [i, result] of results.entries()) {
    const commit = commits[i];
    if (commit === undefined || !("firstVersion" in result)) continue;
    const events = streams.get(commit.streamId) ?? [];
    streams.set(commit.streamId, events);
    compare(parts, `the first version of a commit to ${commit.streamId}`, result.firstVersion, events.length + 1);
    events.push(...commit.events.map(({ id }) => id));
  }
  const [streamId = "Note", version = 0] = random.pick([...before, ["Note", 0] as const]);
  const slice = await insist(script.client, script, () => edge.readStream(streamId, { from: Math.max(1, version - 1), limit: 3 }));
  if (!(slice instanceof script.client.HeadwaterError)) causes.push(...(slice.events as unknown as ConfirmedEvent[])); // as causes
}

function commitTo(known: Known, streamId: string): Commit {
  const { parts, edge, streams, causes } = known;
  const { random } = parts.ground;
  const events = Array.from({ length: random.between(1, 3) }, () => {
    const number = ++known.made;
    const id = random.chance(0.7) ? { id: eventId(parts.name, number) } : {};
    return { ...id, type: random.pick(TYPES), data: { key: `${parts.name}-${number}`, text: "ü„", list: [null, true, -1.5, [{}]] } };
  });
  const version = toVersion(streams.get(streamId)?.length ?? 0);
  const expectedVersion = random.pick(["any", version, version === 0 ? "no-stream" : "stream-exists"] as const);
  const causedBy = causes.length > 0 && random.chance(0.5) ? random.pick(causes) : undefined;
  return edge.prepare(streamId, events, { expectedVersion, ...(causedBy && { causedBy }) });
}

/** Until the log has what the streams have. Streams learn from whoever reads them that their log holds less. */
async function untilPublished({ parts, script, edge, streams }: Known): Promise<void> {
  const count = [...streams.values()].reduce((sum, { length }) => sum + length, 0);
  for (;;) {
    for (const streamId of streams.keys()) await certainly(script.client, script, () => edge.readStream(streamId));
    const { head, events, unpublished, streams: listed } = await certainly(script.client, script, () => edge.health());
    if (head >= count && unpublished === 0) {
      compare(parts, "the store's health", { head, events, listed }, { head: count, events: count, listed: streams.size });
      compare(parts, "the head", await certainly(script.client, script, () => edge.head()), count);
      return;
    }
    await script.pause(2_000);
  }
}

/** The whole feed holds what was answered, each stream in its order. */
function compareAll({ parts, streams }: Known, events: readonly ConfirmedEvent[]): void {
  const positions = events.map(({ position }) => position);
  compare(
    parts,
    "the positions",
    positions,
    [...events.keys()].map((i) => i + 1),
  );
  const read = Map.groupBy(events, ({ streamId }) => streamId);
  for (const [streamId, ids] of streams) {
    const found = read.get(streamId) ?? [];
    compare(
      parts,
      streamId,
      found.map(({ id, version }) => [id, version]),
      ids.map((id, i) => [id, i + 1]),
    );
  }
}

/** Parts of the feed are what the whole feed has of them. */
async function readSome({ parts, script, edge }: Known, events: readonly ConfirmedEvent[]): Promise<void> {
  const { random } = parts.ground;
  const { client } = script;
  const compareWith = async (query: Parameters<EdgeStore["readAll"]>[0], isOf: (event: ConfirmedEvent) => boolean) => {
    const read = await certainly(client, script, () => all(edge.readAll(query)));
    compare(parts, `the feed with ${JSON.stringify(query)}`, read, events.filter(isOf).slice(0, query?.limit));
  };
  const after = random.between(0, events.length);
  await compareWith({ after, limit: random.between(1, 7) }, ({ position }) => position > after);
  await compareWith({ category: "Permit" }, ({ streamId }) => streamId.startsWith("Permit-"));
  await compareWith(
    { category: ["Ticket", "Note"], type: "Noted" },
    ({ streamId, type }) => /^(Ticket-|Note)/.test(streamId) && type === "Noted",
  );
  await compareWith(
    { stream: ["Stock-1", "Permit-3"], after },
    ({ streamId, position }) => /^(Stock-1|Permit-3)$/.test(streamId) && position > after,
  );
  const begun = events.find(({ metadata }) => metadata.correlationId !== undefined)?.metadata.correlationId;
  if (begun === undefined) return;
  const isOf = ({ id, metadata }: ConfirmedEvent) => id === begun || metadata.correlationId === begun;
  await compareWith({ correlation: begun }, isOf);
  const trees = await certainly(client, script, () => client.readCorrelation(edge, begun));
  const flat = (nodes: typeof trees): string[] => nodes.flatMap(({ event, caused }) => [event.id, ...flat(caused)]);
  compare(
    parts,
    `what ${begun} led to`,
    flat(trees).sort(),
    events
      .filter(isOf)
      .map(({ id }) => id)
      .sort(),
  );
  if (after === events.length) return;
  const ending = new AbortController();
  const tailed: ConfirmedEvent[] = [];
  for await (const event of edge.tail({ after, type: TYPES, signal: ending.signal })) {
    tailed.push(event);
    if (tailed.length >= Math.min(3, events.length - after)) break;
  }
  ending.abort();
  compare(parts, `the tail after #${after}`, tailed, events.slice(after, after + tailed.length));
}

async function readStreams({ parts, script, edge, streams }: Known): Promise<void> {
  const { client } = script;
  for (const [streamId, ids] of streams) {
    const limit = parts.ground.random.between(1, 8);
    const { events, version } = await certainly(client, script, () => edge.readStream(streamId, { direction: "backwards", limit }));
    compare(parts, `the end of ${streamId}`, [version, events.map(({ id }) => id)], [ids.length, ids.toReversed().slice(0, limit)]);
  }
  const listed: { streamId: string; version: number }[] = [];
  for (let after: string | null = ""; after !== null; ) {
    const page = await certainly(client, script, () => edge.listStreams({ limit: 2, ...(after !== "" && after !== null && { after }) }));
    listed.push(...page.streams);
    after = page.next;
  }
  const expected = [...streams].map(([streamId, { length }]) => ({ streamId, version: length }));
  const byId = (a: { streamId: string }, b: { streamId: string }) => (a.streamId < b.streamId ? -1 : 1);
  compare(parts, "the list of streams", listed, expected.toSorted(byId));
  const tickets = await certainly(client, script, () => edge.listStreams({ category: "Ticket" }));
  compare(parts, "the list of tickets", tickets.streams, expected.filter(({ streamId }) => streamId.startsWith("Ticket-")).toSorted(byId));
}
