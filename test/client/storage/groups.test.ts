/** Pending commits in their groups: those of today's form, and those that an earlier version of the database has stored. */
import { expect, test } from "vitest";
import {
  entriesOf,
  type Group,
  madeAt,
  measuredEntriesOf,
  regroup,
  type StoredGroup,
  seqOf,
  toGroups,
} from "../../../client/storage/groups.ts";
import type { NewEntry } from "../../../shared/device/outbox.ts";
import { toVersion } from "../../../shared/order.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";

const KEY = 7;
const bodyOf = (id: string) => ({
  id,
  type: "Noted",
  schemaVersion: 1,
  data: { text: `"${id}" – a b` },
  metadata: {},
  occurredAt: `2026-01-0${id}`,
});
const entryOf = (streamId: string, firstVersion: number, ...ids: string[]): NewEntry => ({
  state: "pending",
  streamId: parseStreamId(streamId),
  expectedVersion: firstVersion - 1,
  events: ids.map(bodyOf),
  firstVersion: toVersion(firstVersion),
  confirmed: 0,
});
const COMMAND = { id: "c", decider: "notes", version: 1, data: { text: "x" } };
const ENTRIES = [entryOf("Note-1", 1, "1", "2"), { ...entryOf("Note-2", 5, "3"), command: COMMAND }, entryOf("Note-1", 3, "4")];

/** As a database before version 7 has stored them. */
const FORMER: Group = {
  streams: [
    ["Note-1", 3],
    ["Note-2", 5],
  ],
  commits: ENTRIES.map(({ streamId, expectedVersion, events, firstVersion, confirmed, command }, n) => ({
    n,
    streamId,
    expectedVersion,
    firstVersion,
    lastVersion: firstVersion + events.length - 1,
    confirmed,
    events: JSON.stringify(events),
    command,
  })),
};

const FORMS = [
  ["today's form", toGroups(ENTRIES)[0] ?? FORMER],
  ["the form before version 7", FORMER],
] as const;

test.each(FORMS)("commits of %s are read, of one stream or all, each with its number", (_, group) => {
  const stored: StoredGroup = { ...group, key: KEY };
  expect(stored.streams).toEqual(FORMER.streams);
  expect(entriesOf(stored)).toEqual(ENTRIES.map((entry, n) => ({ command: undefined, ...entry, seq: seqOf(KEY, n) })));
  expect(entriesOf(stored, (id) => id === "Note-2").map(({ seq, command }) => ({ seq, command }))).toEqual([
    { seq: seqOf(KEY, 1), command: COMMAND },
  ]);
  expect(madeAt(stored)).toBe("2026-01-01");
  expect(measuredEntriesOf(stored, seqOf(KEY, 1)).map(({ entry }) => entry.events.map(({ id }) => id))).toEqual([["4"]]);
});

test.each(FORMS)("a group of %s that has changed is written in today's form, with what is left and what was moved", (_, group) => {
  const stored: StoredGroup = { ...group, key: KEY };
  const [first, second] = entriesOf(stored);
  const changed = regroup(
    stored,
    new Map([
      ...(first ? [[first.seq, undefined] as const] : []),
      ...(second ? [[second.seq, { ...second, firstVersion: toVersion(9) }] as const] : []),
    ]),
  );
  expect(changed?.streams).toEqual([
    ["Note-2", 9],
    ["Note-1", 3],
  ]);
  expect(changed?.commits.every((commit) => typeof commit === "string")).toBe(true);
  expect(changed && entriesOf(changed).map(({ seq, firstVersion }) => [seq, firstVersion])).toEqual([
    [seqOf(KEY, 1), 9],
    [seqOf(KEY, 2), 3],
  ]);
  expect(regroup(stored, new Map(entriesOf(stored).map(({ seq }) => [seq, undefined])))).toBe(undefined);
});
