/** What a subscription on a device does next: its copy of the log, what is due, and what is asked of it meanwhile. */
import { describe, expect, test } from "vitest";
import { NEW_REPLICA, type Replica, type Scope } from "../../../shared/device/replica.ts";
import {
  afterHandOver,
  afterLook,
  afterReplay,
  afterReplayRequest,
  afterReset,
  afterResume,
  begun,
  continuedIn,
  type DeviceSubscription,
  dueOf,
  resumptionIn,
  stoppedByOtherHistory,
  unlessOvertaken,
} from "../../../shared/device/subscription.ts";
import { NO_EVENTS, withEvent } from "../../../shared/mark.ts";
import { toPosition, toVersion } from "../../../shared/order.ts";
import type { SubscriptionPolicy } from "../../../shared/subscription.ts";

const POLICY: SubscriptionPolicy = {
  batchSize: 1,
  retries: 0,
  onFailure: "dead-letter",
  maxConsecutiveDeadLetters: 10,
  backoff: { first: 1000, longest: 1000 },
};
const AT = { now: 0, random: 0.5 };

function historyAt(position: number, more: Partial<Replica> = {}): Replica {
  return { ...NEW_REPLICA, authority: "edge", log: "L", position, head: position, ...more };
}

function eventAt(position: number) {
  return { id: `event-${position}`, streamId: "Note-1", version: toVersion(position), position: toPosition(position), type: "Noted" };
}

function handled(subscription: DeviceSubscription, position: number): DeviceSubscription {
  return afterHandOver(subscription, eventAt(position), null, AT, POLICY);
}

function refused(subscription: DeviceSubscription, position: number): DeviceSubscription {
  return afterHandOver(subscription, eventAt(position), "no", AT, POLICY);
}

function written(subscription: DeviceSubscription, position: number): DeviceSubscription {
  const step = afterLook(subscription, { event: eventAt(position), end: position }, AT.now, POLICY);
  if (step.kind !== "write") throw new Error(`is to be written, not to ${step.kind}`);
  return step.subscription;
}

function checkpointsOf({ parts }: DeviceSubscription) {
  return parts.map(({ upTo, progress }) => [progress.checkpoint, upTo]);
}

const BEGUN = begun(historyAt(5), 0);
const SET_ASIDE = written(refused(BEGUN, 1), 1);

describe("what is due", () => {
  test("it looks behind the checkpoint, up to where the device is, and has nothing to do where all is looked at", () => {
    expect(dueOf(BEGUN, historyAt(5), 0, POLICY)).toMatchObject({ kind: "look", after: 0, upTo: 5 });
    expect(afterLook(handled(BEGUN, 5), { end: 5 }, 0, POLICY)).toEqual({ kind: "nothing" });
    expect(afterLook(BEGUN, { end: 3 }, 0, POLICY)).toMatchObject({ kind: "write" });
  });

  test("what was refused waits for its time, while what somebody asks to have replayed does not", () => {
    const waiting = refused(SET_ASIDE, 2);
    expect(dueOf(waiting, historyAt(5), 100, POLICY)).toEqual({ kind: "wait", milliseconds: 400 });
    expect(dueOf(afterReplayRequest(waiting), historyAt(5), 100, POLICY)).toEqual({ kind: "replay", id: "event-1", streamId: "Note-1" });
    expect(dueOf(afterResume(waiting), historyAt(5), 100, POLICY)).toMatchObject({ kind: "look", after: 1 });
  });
});

describe("set aside", () => {
  test("one stands in the list once, with what was said last, however often the subscription is begun anew", () => {
    const again = written(refused(afterReset(SET_ASIDE, historyAt(5), 0), 1), 1);
    expect(again.deadLetters.map(({ id, error }) => [id, error])).toEqual([["event-1", "no"]]);
    expect(handled(afterReset(SET_ASIDE, historyAt(5), 0), 1).deadLetters).toEqual([]);
  });

  test("one that is refused at its replay stays, and one that is handled leaves the list, whatever was asked meanwhile", () => {
    const asked = afterReplayRequest(SET_ASIDE);
    expect(afterReplay(asked, "event-1", "still no")).toMatchObject({ deadLetters: [{ id: "event-1", error: "still no" }], replay: [] });
    expect(afterReplay(afterReset(asked, historyAt(5), 3), "event-1", null)).toMatchObject({ deadLetters: [], since: 3 });
  });

  test("replay of some leaves the others", () => {
    const two = written(refused(SET_ASIDE, 2), 2);
    expect(afterReplayRequest(two, ["event-2"]).replay).toEqual(["event-2"]);
    expect(afterReplayRequest(two).replay).toEqual(["event-1", "event-2"]);
  });
});

describe("what is written while a step is under way", () => {
  test("a step that another one has overtaken does not take the checkpoint back", () => {
    const ahead = unlessOvertaken(handled(BEGUN, 1), BEGUN);
    const further = unlessOvertaken(handled(ahead, 2), ahead);
    expect(unlessOvertaken(handled(BEGUN, 1), further)).toBe(further);
  });

  test("what is asked stands: the step is not taken, and its event comes again", () => {
    const step = handled(BEGUN, 1);
    const asked = afterReset(BEGUN, historyAt(5), 3);
    const taken = { ...step, writes: 1 };
    expect(unlessOvertaken(step, BEGUN)).toEqual(taken);
    expect(unlessOvertaken(step, undefined)).toEqual(taken);
    expect(unlessOvertaken(step, asked)).toBe(asked);
  });
});

describe("what the device follows", () => {
  const following = (scope: Scope) => historyAt(5, { scope });
  const standing = (subscription: DeviceSubscription, replica: Replica) => {
    const found = resumptionIn(subscription, replica);
    if (found.kind !== "continues") throw new Error(`goes on, and is not to ${found.kind}`);
    return found.subscription;
  };

  test("what it follows besides is handed over first, up to where the feed was, then the feed goes on", () => {
    const narrow = handled(begun(following(["Note"]), 0), 3);
    const wider = standing(narrow, following(["Note", "Other"]));
    expect(checkpointsOf(wider)).toEqual([
      [0, 3],
      [3, null],
    ]);
    expect(wider.parts[0]).toMatchObject({ within: ["Other"], without: ["Note"] });
    const step = afterLook(wider, { end: 3 }, 0, POLICY);
    expect(step.kind === "write" && checkpointsOf(step.subscription)).toEqual([[3, null]]);
    expect(checkpointsOf(standing(narrow, following(["Note"])))).toEqual([[3, null]]);
  });

  test("after a reset it waits for what is fetched, and then goes on where the copy holds the same", () => {
    const before = handled(handled(BEGUN, 1), 2);
    const fetched = historyAt(4, { resets: 1 });
    expect(resumptionIn(before, { ...fetched, position: 1, head: 5 })).toEqual({ kind: "fetching" });
    expect(resumptionIn(before, { ...fetched, log: null })).toEqual({ kind: "fetching" });
    expect(resumptionIn(before, fetched)).toEqual({ kind: "compare", subscription: before, after: 0, upTo: 2 });
    expect(resumptionIn(before, historyAt(5, { backfills: [{ within: ["Other"], position: 0, upTo: 5 }] }))).toEqual({ kind: "fetching" });
    expect(resumptionIn(undefined, historyAt(5))).toEqual({ kind: "begins" });
    const held = withEvent(withEvent(NO_EVENTS, "event-2"), "event-1");
    expect(continuedIn(before, fetched, held)).toEqual({ ...before, resets: 1 });
    expect(continuedIn(before, fetched, withEvent(held, "event-3"))).toBeUndefined();
  });

  test("in another history it stops, and says how to go on", () => {
    const stopped = stoppedByOtherHistory(BEGUN);
    expect(stopped.error).toMatch(/reset\(\)/);
    expect(dueOf(stopped, historyAt(5), 0, POLICY)).toEqual({ kind: "nothing" });
    expect(stoppedByOtherHistory(stopped)).toBe(stopped);
    expect(dueOf(afterReset(stopped, historyAt(5), 0), historyAt(5), 0, POLICY)).toMatchObject({ kind: "look", after: 0 });
  });
});
