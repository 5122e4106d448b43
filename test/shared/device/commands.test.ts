/** Pending commands in the outbox: what the edge refused of a stream, and what it has decided otherwise. */
import { expect, test } from "vitest";
import type { PendingCommand } from "../../../shared/decider/command.ts";
import { type ArrivedEvent, isHeld, type OutboxEntry, type PendingEntry, reconcile } from "../../../shared/device/outbox.ts";
import { notHeld } from "../../../shared/device/parked.ts";
import { judgePush, type Refused } from "../../../shared/device/push.ts";
import { parkRefused } from "../../../shared/device/rejected.ts";
import type { EventBody } from "../../../shared/event/event.ts";
import { toVersion } from "../../../shared/order.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";
import type { PushResult } from "../../../shared/wire/wire.ts";

const streamId = parseStreamId("S-1");
const command = (id: string): PendingCommand => ({ id, decider: "stock", version: 1, data: null });
const event = (id: string, metadata = {}): EventBody => ({
  id,
  type: "E",
  schemaVersion: 1,
  data: null,
  metadata,
  occurredAt: "2026-01-01T00:00:00Z",
});

/** @param firstVersion of its one event, and its place in the outbox */
function pending(firstVersion: number, id: string, of?: PendingCommand): PendingEntry {
  const expectedVersion = firstVersion - 1;
  return {
    state: "pending",
    seq: firstVersion,
    streamId,
    expectedVersion,
    events: [event(id)],
    command: of,
    firstVersion: toVersion(firstVersion),
    confirmed: 0,
  };
}

const refused = (entry: PendingEntry, isAlone = true): Refused => ({
  entry,
  isAlone,
  reason: {
    code: isAlone ? "command-refused" : "forbidden",
    message: `${entry.events[0]?.id} is refused.`,
    actualVersion: toVersion(0),
    ...(isAlone && { refusal: { name: "Error", message: "", data: null } }),
  },
});

const shown = (entries: readonly OutboxEntry[]) =>
  entries.map((entry) =>
    entry.state === "pending"
      ? `${entry.events[0]?.id} on ${entry.expectedVersion}, at ${entry.firstVersion}`
      : `${entry.events[0]?.id} ${entry.reason.code}: ${entry.reason.message}`,
  );

const [a, b, c] = [pending(3, "a", command("A")), pending(4, "b", command("B")), pending(5, "c", command("C"))];

test("commands that are refused in one push each have their own reason, and the one behind them moves into the first one's place", () => {
  expect(shown(parkRefused([a, b, c], [refused(a), refused(b)]))).toEqual([
    "a command-refused: a is refused.",
    "b command-refused: b is refused.",
    "c on 2, at 3",
  ]);
  expect(shown(parkRefused([a, b, c], [refused(a), refused(c)]))).toEqual([
    "a command-refused: a is refused.",
    "b on 2, at 3",
    "c command-refused: c is refused.",
  ]);
  expect(shown(parkRefused([a, b, c], [refused(b)]))).toEqual(["b command-refused: b is refused.", "c on 3, at 4"]);
});

test("what has no command is parked behind a refused one, and was not refused itself", () => {
  const plain = pending(4, "b");
  const changed = parkRefused([a, plain, c], [refused(a)]);
  expect(shown(changed)).toEqual([
    "a command-refused: a is refused.",
    "b version-conflict: An earlier commit to the stream is parked. a is refused.",
    "c version-conflict: An earlier commit to the stream is parked. a is refused.",
  ]);
  expect(changed.map((entry) => entry.state === "parked" && entry.reason.refusal !== undefined)).toEqual([true, false, false]);
  // One behind it that was refused too says why.
  expect(shown(parkRefused([a, plain, c], [refused(a), refused(c)])).at(-1)).toBe("c command-refused: c is refused.");
});

test("what the edge rejects takes all behind it along, commands too, and an answer about an entry that has moved takes nothing", () => {
  expect(shown(parkRefused([a, b, c], [refused(b, false)]))).toEqual([
    "b forbidden: b is refused.",
    "c forbidden: An earlier commit to the stream is parked. b is refused.",
  ]);
  expect(parkRefused([{ ...a, expectedVersion: 7 }, b], [refused(a)])).toEqual([]);
});

test("what was made on a command that the edge has decided otherwise is held on what was there before, while the device is behind", () => {
  const plain = pending(4, "b");
  // The edge's own event stands where that of the device was: the numbers match.
  const arrived: ArrivedEvent[] = [{ ...event("other", { $commandId: "A" }), version: toVersion(3) }];
  const refuse = () => expect.fail("no rule is asked while the device is behind");
  const behind = reconcile([a, plain], arrived, toVersion(3), refuse, arrived, { isBehind: true, awaited: new Map() });
  expect(behind.settled).toEqual([a]);
  expect(shown(behind.changed)).toEqual(["b on 2, at 4"]);
  const [held] = behind.changed as PendingEntry[];
  expect(held !== undefined && isHeld(held)).toBe(true);
  // The edge says that others were first, and then a rule is asked.
  const entries = held === undefined ? [] : [held];
  const awaited = new Map([[plain.seq, { streamId, kind: "contested" as const }]]);
  const asked = reconcile(entries, [], toVersion(3), () => ({ kind: "park" }), arrived, { isBehind: false, awaited });
  expect(shown(asked.changed)).toEqual([expect.stringMatching(/^b version-conflict/)]);
});

test("a rule is shown what the edge has decided for the command before, for the commit was not made on it", () => {
  const arrived: ArrivedEvent[] = [{ ...event("other", { $commandId: "A" }), version: toVersion(3) }];
  const theirs: string[] = [];
  reconcile(
    [a, pending(4, "b")],
    arrived,
    toVersion(3),
    (contested) => {
      theirs.push(...contested.theirs.map(({ id }) => id));
      return { kind: "park" };
    },
    arrived,
    { isBehind: false, awaited: new Map() },
  );
  expect(theirs).toEqual(["other"]);
});

test("a command for which the stream has events is here already, though none of them has the ids that this device gave", () => {
  expect(notHeld([a, b], new Map(), new Set(["A"]))).toEqual([b]);
});

test("what waits for another version of the edge names no decider: no tab can help by taking the lead", () => {
  const detail = "The edge has version 1.";
  const result: PushResult = { status: "rejected", streamId, code: "decider-version", detail, decider: "stock@2" };
  const { waiting } = judgePush([a], [result]);
  expect(waiting.map(({ error }) => error.details)).toEqual([{}]);
  expect(waiting[0]?.error.message).toBe(`S-1: ${detail}`);
});
