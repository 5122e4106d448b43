/** What must hold, as a user can see it. A check returns everything that is wrong, so that a failure shows its full extent. */
import { expect } from "vitest";
import type { ConfirmedEvent, EventBody, StreamEvent } from "../../client/index.ts";
import type { Dump, Mark, Report } from "./page.ts";

/**
 * A device by itself, at any time: streams are whole, no event is there twice, each commit is there with all of its events,
 * recorded or parked, and the counts are those of what is there.
 *
 * @param dump of all streams of the device
 */
export function expectWhole({ streams, log, parked, status }: Dump): void {
  const recorded = Object.values(streams).flat();
  const waiting = parked.flatMap(({ events }) => events);
  expect(Object.values(streams).flatMap(gaps)).toEqual([]);
  expect(repeated([...recorded, ...waiting])).toEqual([]);
  expect([...commitsOf<Seen>([...recorded, ...waiting])].flatMap(torn)).toEqual([]);
  expect(log.map(({ position }) => position)).toEqual(Array.from({ length: status.cursor?.position ?? 0 }, (_, i) => i + 1));
  expect(lines(recorded.filter((event) => !event.pending))).toEqual(lines(log));
  const pending = commitsOf(recorded.filter((event) => event.pending)).size;
  expect(status).toMatchObject({ pending, conflicts: parked.length });
}

/**
 * What an app was told stays true: what was recorded is there, on the version that was told or, where others came first, on
 * a later one; and what was refused is not.
 */
export function expectKept(dump: Dump, reports: readonly Report[]): void {
  const recorded = commitsOf(Object.values(dump.streams).flat());
  const parked = commitsOf(dump.parked.flatMap(({ events }) => events));
  const wrong = reports.flatMap((report) => {
    if (report.kind === "applied") return [];
    const { commit, streamId } = report;
    const [first] = recorded.get(commit) ?? [];
    if (report.kind === "refused") return first === undefined && !parked.has(commit) ? [] : [`${commit} was refused and is there`];
    if (first === undefined) return parked.has(commit) ? [] : [`${commit} is lost`];
    const isThere = first.streamId === streamId && first.version >= report.firstVersion;
    return isThere ? [] : [`${commit} was ${streamId}@${report.firstVersion} and is ${first.streamId}@${first.version}`];
  });
  expect(wrong).toEqual([]);
}

/** In streams to which nobody else appends, each commit stands on the very version that was told, and none was refused. */
export function expectUnmoved(dump: Dump, reports: readonly Report[], streamIds: readonly string[]): void {
  const recorded = commitsOf(Object.values(dump.streams).flat());
  const wrong = reports.flatMap((report) => {
    if (report.kind === "applied" || !streamIds.includes(report.streamId)) return [];
    if (report.kind === "refused") return [`${report.commit} was refused`];
    const version = recorded.get(report.commit)?.[0]?.version;
    return version === report.firstVersion ? [] : [`${report.commit} was on ${report.firstVersion} and is on ${version}`];
  });
  expect(wrong).toEqual([]);
}

/** A device and the edge hold the same, event by event, each event once, and nothing waits. */
export function expectAgreement(dump: Dump, feed: readonly ConfirmedEvent[]): void {
  expect(repeated(feed)).toEqual([]);
  expect([...commitsOf<Seen>(feed)].flatMap(torn)).toEqual([]);
  expect(lines(dump.log)).toEqual(lines(feed));
  expect(lines(Object.values(dump.streams).flat())).toEqual(lines(feed));
  expect(Object.values(dump.streams).flatMap(gaps)).toEqual([]);
  expect(dump.status).toMatchObject({ pending: 0, conflicts: 0, cursor: { position: feed.length }, head: feed.length });
}

/** Every commit that was recorded anywhere is at the edge. */
export function expectAllAtEdge(feed: readonly ConfirmedEvent[], reports: readonly Report[]): void {
  const there = commitsOf(feed);
  const recorded = reports.flatMap((report) => (report.kind === "appended" ? [report.commit] : []));
  expect(recorded.filter((commit) => !there.has(commit))).toEqual([]);
}

/** Where versions are not 1, 2, 3 … */
function gaps(events: readonly StreamEvent[]): string[] {
  const i = events.findIndex(({ version }, at) => version !== at + 1);
  const event = events[i];
  return event === undefined ? [] : [`${event.streamId}@${event.version} stands in place of ${i + 1}`];
}

function repeated(events: readonly EventBody[]): string[] {
  const ids = new Set<string>();
  return events.flatMap(({ id }) => {
    if (ids.has(id)) return [id];
    ids.add(id);
    return [];
  });
}

/** A recorded event, or one of a parked commit. */
type Seen = EventBody & Partial<StreamEvent>;

/** Where a commit is not all of its events side by side and in order, confirmed ones before pending ones. */
function torn([commit, events]: readonly [string, readonly Seen[]]): string[] {
  const [first] = events;
  const isWhole = events.every((event, i) => {
    const { n, of } = markOf(event);
    const follows = event.streamId === first?.streamId && (event.version ?? 0) === (first?.version ?? -i) + i;
    return n === i && of === events.length && follows && (event.pending === true || events[i - 1]?.pending !== true);
  });
  return isWhole ? [] : [`${commit} is torn: ${events.map((event) => `${event.version}${event.pending ? " pending" : ""}`).join()}`];
}

function lines(events: readonly (ConfirmedEvent | StreamEvent)[]): string[] {
  return events
    .toSorted((a, b) => (a.position ?? 0) - (b.position ?? 0))
    .map(({ position, streamId, version, id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor }) =>
      JSON.stringify([position, streamId, version, id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor]),
    );
}

function commitsOf<E extends EventBody>(events: readonly E[]): Map<string, E[]> {
  return Map.groupBy(events, (event) => markOf(event).commit);
}

function markOf({ data }: EventBody): Mark {
  if (!isMark(data)) throw new Error(`an event of these tests without its mark: ${JSON.stringify(data)}`);
  return data;
}

function isMark(data: unknown): data is Mark {
  return typeof data === "object" && data !== null && "commit" in data && "n" in data && "of" in data;
}
