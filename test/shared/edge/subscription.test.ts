import { describe, expect, test } from "vitest";
import {
  afterBatch,
  afterFailure,
  afterKill,
  afterReplay,
  afterResume,
  afterUnreadableLog,
  beforeHandOver,
  deadLettersKeptUpTo,
  hasMore,
  isWorthWriting,
  movedTo,
  readBehind,
  readUpTo,
  settled,
  stateOf,
  subscriptionAt,
  waitsUntil,
  wakeTime,
} from "../../../shared/edge/subscription.ts";
import { LogMismatchError, PositionAheadError, StorageDamagedError } from "../../../shared/errors.ts";
import { START_MARK } from "../../../shared/mark.ts";
import { afterFailed, DEFAULT_POLICY, nextStep, type SubscriptionPolicy } from "../../../shared/subscription.ts";

const POLICY: SubscriptionPolicy = { ...DEFAULT_POLICY, retries: 1, onFailure: "dead-letter" };
const MARKS = ["0123456789abcdef", "fedcba9876543210"] as const;
const ONE = { count: 1, upTo: 5 };
const AT_4 = { ...subscriptionAt("log", 4), mark: MARKS[0] };

describe("the log that is followed", () => {
  test("is asked for by its id and its mark, where that is known", () => {
    expect(readBehind(AT_4, readUpTo(AT_4, undefined))).toEqual({ after: 4, log: "log", mark: MARKS[0] });
    expect(readBehind(AT_4, readUpTo(AT_4, { position: 6, mark: MARKS[1] }))).toEqual({ after: 6, log: "log", mark: MARKS[1] });
    expect(readBehind(subscriptionAt("log", 4), { position: 4, mark: null })).toEqual({ after: 4, log: "log" });
    expect(subscriptionAt("log", 0).mark).toBe(START_MARK);
  });

  test("is looked at where it says anything else than is known of it", () => {
    const looked = { position: 6, mark: MARKS[1] };
    expect(wakeTime(AT_4, looked, { log: "log", head: 6, mark: MARKS[1] }, 100)).toBe(null);
    for (const end of [
      { log: "log", head: 7, mark: MARKS[0] },
      { log: "log", head: 5, mark: MARKS[0] },
      { log: "log", head: 6, mark: MARKS[0] },
      { log: "log", head: 6 },
      { log: "another", head: 6, mark: MARKS[1] },
    ]) {
      expect(wakeTime(AT_4, looked, end, 100)).toBe(100);
    }
    expect(hasMore(looked, 6, 0)).toBe(false);
    expect([hasMore(looked, 7, 0), hasMore(looked, 6, 7)]).toEqual([true, true]);
  });

  test("that is another one stops the subscription, and news of it does not wake it", () => {
    const other = afterUnreadableLog({ ...AT_4, retryAt: 300 }, { position: 4, mark: null }, new LogMismatchError("Another history."));
    expect([stateOf(other), other.retryAt, other.error]).toEqual(["stopped", null, "Another history."]);
    expect(wakeTime(other, { position: 4, mark: null }, { log: "another", head: 9 }, 100)).toBe(null);
  });

  test("that ends before what was read, or is damaged behind it, stops it and says where", () => {
    const read = { position: 9, mark: null };
    const ahead = afterUnreadableLog(AT_4, read, new PositionAheadError(undefined, { log: "log", head: 2 }));
    expect([stateOf(ahead), ahead.error]).toEqual([
      "stopped",
      "The subscription has read the log up to position 9, and the log ends at 2: it was put back to an older copy. Reset the subscription to a position of the log.",
    ]);
    const damaged = afterUnreadableLog(AT_4, read, new StorageDamagedError("Damaged at position 10.", { position: 10 }));
    expect([stateOf(damaged), damaged.error]).toEqual(["stopped", "Damaged at position 10."]);
  });

  test("is followed from another place, without what is known of the old one", () => {
    expect(movedTo({ ...AT_4, more: 1 }, "another", 2)).toEqual({ ...subscriptionAt("another", 2), more: 1 });
    expect([deadLettersKeptUpTo(AT_4, "log", 2), deadLettersKeptUpTo(AT_4, "another", 2)]).toEqual([2, 0]);
  });

  test("is not written down for each position where nothing matches", () => {
    expect([isWorthWriting(AT_4, 1003), isWorthWriting(AT_4, 1004)]).toEqual([false, true]);
  });
});

describe("what is refused", () => {
  const facts = { mark: MARKS[1], now: 100, random: 0.999 };

  test("waits, whatever is told meanwhile, until the time is over or somebody resumes it", () => {
    const refused = afterFailure(AT_4, ONE, "No.");
    const waiting = settled(refused, nextStep(refused.progress, POLICY, ONE), POLICY, facts);
    const until = waiting.retryAt ?? 0;
    expect([stateOf(waiting), waiting.error, until > 100]).toEqual(["waiting", "No.", true]);
    expect([waitsUntil(waiting, until - 1), waitsUntil(waiting, until)]).toEqual([until, null]);
    expect(wakeTime(waiting, { position: 4, mark: MARKS[0] }, { log: "log", head: 9 }, 200)).toBe(until);
    expect(afterResume(waiting)).toMatchObject({ retryAt: null, error: null, progress: { failures: 0 } });
    expect(afterBatch(waiting, ONE, MARKS[1])).toMatchObject({ retryAt: null, error: null, mark: MARKS[1], progress: { checkpoint: 5 } });
  });

  test("too often is set aside, and the mark is the one behind it", () => {
    const refused = afterFailure({ ...AT_4, progress: afterFailed(AT_4.progress, ONE) }, ONE, "No.");
    const next = settled(refused, nextStep(refused.progress, POLICY, ONE), POLICY, facts);
    expect(next).toMatchObject({ mark: MARKS[1], retryAt: null, error: null, progress: { checkpoint: 5 } });
  });

  test("by being killed waits too, unless it has stopped; what the handler had is blamed if that was stored", () => {
    expect(afterKill(AT_4, POLICY, "Killed.", 100, 0.999)).toMatchObject({ error: "Killed.", progress: { failures: 1, alone: 0 } });
    const killedOnce = afterKill({ ...AT_4, progress: { ...AT_4.progress, alone: 5 } }, POLICY, "Killed.", 100, 0.999);
    const handed = beforeHandOver(killedOnce, ONE);
    expect([beforeHandOver(AT_4, ONE).handed ?? null, handed.handed]).toEqual([null, ONE]);
    expect(nextStep(afterKill(killedOnce, POLICY, "Killed.", 100, 0.999).progress, POLICY, ONE).kind).toBe("hand-over");
    const blamed = afterKill(handed, POLICY, "Killed.", 100, 0.999);
    expect([blamed.handed, nextStep(blamed.progress, POLICY, ONE).kind]).toEqual([null, "dead-letter"]);
    const stopped = afterUnreadableLog(AT_4, { position: 4, mark: null }, new LogMismatchError("Another history."));
    expect(afterKill(stopped, POLICY, "Killed.", 100, 0.999)).toBe(stopped);
  });

  test("when it is replayed stays in the list, with why", () => {
    const event = { id: "a", error: "No.", at: "2026-01-01T00:00:00.000Z" };
    expect(afterReplay(event, "Not yet.", "2026-01-02T00:00:00.000Z")).toEqual({
      id: "a",
      error: "Not yet.",
      at: "2026-01-02T00:00:00.000Z",
    });
    expect(afterReplay(event, null, "2026-01-02T00:00:00.000Z")).toBe(null);
  });
});
