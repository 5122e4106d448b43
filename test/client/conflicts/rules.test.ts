/** Conflicts that the app has rules for. */
import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import type { ConfirmedEvent, Contested, StoreOptions } from "../../../client/index.ts";
import { dataOf, event, expectAgreement } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";

const { devices, renew } = edgeDevices();

/** Two devices know one event; then each appends on it, and the other one is first. */
async function contested(rules: Partial<StoreOptions>, mine: [data: unknown, type?: string][], theirs: [data: unknown, type?: string][]) {
  const a = await devices.open("A", rules);
  const b = await devices.open("B");
  await a.appendToStream("A-1", [event("first")], { expectedVersion: "no-stream" });
  await a.sync();
  await b.sync();
  for (const [i, [data, type]] of theirs.entries()) await b.appendToStream("A-1", [event(data, type)], { expectedVersion: 1 + i });
  for (const [i, [data, type]] of mine.entries()) await a.appendToStream("A-1", [event(data, type)], { expectedVersion: 1 + i });
  await b.sync();
  await a.sync();
  await b.sync();
  return { a, b };
}

test("onConflict rebases: the commit and those built on it stand behind theirs, in order, and nobody is asked", async () => {
  const asked: Contested<ConfirmedEvent>[] = [];
  const onConflict = (conflict: Contested<ConfirmedEvent>) => {
    asked.push(conflict);
    return "rebase" as const;
  };
  const { a, b } = await contested({ onConflict }, [["mine 1"], ["mine 2"]], [["theirs 1"], ["theirs 2"]]);
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect(await dataOf(devices.atEdge, "A-1")).toEqual(["first", "theirs 1", "theirs 2", "mine 1", "mine 2"]);
  await expectAgreement("A-1", devices.atEdge, a, b);
  expect(asked.map(({ streamId, expectedVersion, actualVersion }) => [streamId, expectedVersion, actualVersion])).toEqual([
    ["A-1", 1, 3],
    ["A-1", 2, 3],
  ]);
  expect(asked[0]?.events.map(({ data }) => data)).toEqual(["mine 1"]);
  expect(asked[0]?.theirs.map(({ data }) => data)).toEqual(["theirs 1", "theirs 2"]);
});

test("onConflict discards what it says, and what was built on it is asked about by itself", async () => {
  const onConflict = ({ events }: Contested<ConfirmedEvent>) => (events[0]?.data === "mine 1" ? ("discard" as const) : ("rebase" as const));
  const { a, b } = await contested({ onConflict }, [["mine 1"], ["mine 2"]], [["theirs"]]);
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect(await dataOf(devices.atEdge, "A-1")).toEqual(["first", "theirs", "mine 2"]);
  await expectAgreement("A-1", devices.atEdge, a, b);
});

test("events that onConflict answers take the commit's place, with ids of their own", async () => {
  const onConflict = ({ events, theirs }: Contested<ConfirmedEvent>) => [
    event([...events, ...theirs].map(({ data }) => data)),
    event("and one more"),
  ];
  const { a, b } = await contested({ onConflict }, [["mine"]], [["theirs"]]);
  expect(a.status).toMatchObject({ pending: 0, conflicts: 0 });
  expect(await dataOf(devices.atEdge, "A-1")).toEqual(["first", "theirs", ["mine", "theirs"], "and one more"]);
  await expectAgreement("A-1", devices.atEdge, a, b);
});

test("where onConflict fails, or answers what it may not, the commit is parked with the reason and nothing is lost", async () => {
  const failing: [unknown, RegExp][] = [
    [
      () => {
        throw new Error("no idea");
      },
      /no idea/,
    ],
    [() => Promise.resolve("rebase"), /must not return a promise/],
    [() => [{ type: "" }], /event type/],
    [() => [], /at least one event/],
  ];
  for (const [onConflict, reason] of failing) {
    const { a } = await contested(
      { onConflict: onConflict as NonNullable<StoreOptions["onConflict"]> },
      [["mine 1"], ["mine 2"]],
      [["theirs"]],
    );
    expect(a.status).toMatchObject({ pending: 0, conflicts: 2 });
    expect(a.conflicts()[0]).toMatchObject({ code: "version-conflict", reason: expect.stringMatching(reason) });
    expect(a.conflicts().map(({ events }) => events[0]?.data)).toEqual(["mine 1", "mine 2"]);
    await devices.close();
    renew();
  }
});

test("event types that commute are rebased, others are parked; what onConflict leaves open the table decides", async () => {
  const commuting = [
    ["ItemAdded", "ItemAdded"],
    ["Commented", "*"],
  ] as const;
  const cases: [string, string, boolean][] = [
    ["ItemAdded", "ItemAdded", true],
    ["Commented", "ItemRemoved", true],
    ["ItemRemoved", "Commented", true],
    ["ItemAdded", "ItemRemoved", false],
  ];
  for (const [mine, theirs, isRebased] of cases) {
    const { a } = await contested({ commuting, onConflict: () => undefined }, [["mine", mine]], [["theirs", theirs]]);
    expect([mine, theirs, a.status.conflicts]).toEqual([mine, theirs, isRebased ? 0 : 1]);
    expect(await dataOf(devices.atEdge, "A-1")).toEqual(isRebased ? ["first", "theirs", "mine"] : ["first", "theirs"]);
    await devices.close();
    renew();
  }
});
