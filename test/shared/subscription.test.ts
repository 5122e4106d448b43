import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidRequestError, UnavailableError } from "../../shared/errors.ts";
import { completeOptions } from "../../shared/options.ts";
import {
  afterFailed,
  afterHandled,
  afterPassed,
  type Batch,
  beginningOf,
  DEFAULT_POLICY,
  HandlerError,
  isToBeNoted,
  messageOfFailure,
  nextStep,
  POLICY_OPTIONS,
  type Progress,
  resumed,
  type SubscriptionPolicy,
  sizeOfBatch,
  startAt,
  stopped,
  waitAfter,
  waitLeft,
} from "../../shared/subscription.ts";
import { SEED } from "../support/seed.ts";

const POLICY: SubscriptionPolicy = { ...DEFAULT_POLICY, batchSize: 10, retries: 4, onFailure: "dead-letter", maxConsecutiveDeadLetters: 3 };

function refusedTimes(progress: Progress, times: number, batch?: Batch): Progress {
  return Array.from({ length: times }).reduce<Progress>((last) => afterFailed(last, batch), progress);
}

describe("what becomes of events that are refused", () => {
  test("several are tried three times together, then one at a time as far as they went", () => {
    const batch = { count: 3, upTo: 7 };
    let progress = startAt(4);
    for (let i = 0; i < 3; i++) {
      expect(nextStep(progress, POLICY, batch)).toEqual({ kind: "hand-over" });
      progress = afterFailed(progress, batch);
    }
    const step = nextStep(progress, POLICY, batch);
    expect(step).toMatchObject({ kind: "take-apart", progress: { checkpoint: 4, failures: 0, alone: 7 } });
    if (step.kind !== "take-apart") throw new Error(step.kind);
    expect(sizeOfBatch(step.progress, POLICY)).toBe(1);
    expect(sizeOfBatch(afterHandled(step.progress, { count: 1, upTo: 6 }), POLICY)).toBe(1);
    expect(sizeOfBatch(afterHandled(step.progress, { count: 1, upTo: 7 }), POLICY)).toBe(10);
  });

  test("one that was refused by itself stays by itself, though others come behind it", () => {
    const progress = afterFailed(startAt(0), { count: 1, upTo: 1 });
    expect(sizeOfBatch(progress, POLICY)).toBe(1);
  });

  test("one is set aside after its retries, and the checkpoint is behind it", () => {
    const one = { count: 1, upTo: 5 };
    expect(nextStep(refusedTimes(startAt(4), 4, one), POLICY, one)).toEqual({ kind: "hand-over" });
    expect(nextStep(refusedTimes(startAt(4), 5, one), POLICY, one)).toMatchObject({
      kind: "dead-letter",
      progress: { checkpoint: 5, failures: 0, inARow: 1, isStopped: false },
    });
  });

  test("or it stops the subscription, and the checkpoint is before it; resumed, it is tried as often again", () => {
    const one = { count: 1, upTo: 5 };
    const step = nextStep(refusedTimes(startAt(4), 5, one), { ...POLICY, onFailure: "stop" }, one);
    expect(step).toMatchObject({ kind: "stop", progress: { checkpoint: 4, isStopped: true } });
    if (step.kind !== "stop") throw new Error(step.kind);
    expect(() => nextStep(step.progress, POLICY, one)).toThrow("Broken invariant");
    expect(resumed(step.progress)).toMatchObject({ checkpoint: 4, failures: 0, isStopped: false });
    expect(resumed(stopped(startAt(3)))).toEqual(startAt(3));
  });

  test("a handler that refuses everything stops its subscription, instead of having all set aside", () => {
    let progress = startAt(0);
    for (let position = 1; position <= 3; position++) {
      const one = { count: 1, upTo: position };
      const step = nextStep(refusedTimes(progress, 5, one), POLICY, one);
      if (step.kind !== "dead-letter") throw new Error(step.kind);
      progress = step.progress;
    }
    const one = { count: 1, upTo: 4 };
    expect(nextStep(refusedTimes(progress, 5, one), POLICY, one).kind).toBe("stop");
    const between = afterHandled(progress, one);
    const next = { count: 1, upTo: 5 };
    expect(nextStep(refusedTimes(between, 5, next), POLICY, next).kind).toBe("dead-letter");
  });

  test("one whose handler was killed each time is given up too", () => {
    const killed = refusedTimes(startAt(0), 3);
    expect(nextStep(killed, POLICY, { count: 2, upTo: 2 }).kind).toBe("take-apart");
    const one = { count: 1, upTo: 1 };
    const step = nextStep(killed, POLICY, one);
    if (step.kind !== "take-apart") throw new Error(step.kind);
    expect(nextStep(step.progress, POLICY, one).kind).toBe("hand-over");
    // It gets the event once more, and that is stored first: then a kill tells that the handler had it.
    const unknown = refusedTimes(step.progress, 5);
    expect([isToBeNoted(step.progress, one), isToBeNoted(unknown, one)]).toEqual([false, true]);
    expect(nextStep(unknown, POLICY, one).kind).toBe("hand-over");
    expect(nextStep(afterFailed(unknown, one), POLICY, one).kind).toBe("dead-letter");
  });

  test("no kill gives up an event that the handler never got, however many there are", () => {
    const policy = { ...POLICY, retries: 0 };
    const one = { count: 1, upTo: 1 };
    const step = nextStep(refusedTimes(startAt(0), 1), policy, one);
    if (step.kind !== "take-apart") throw new Error(step.kind);
    expect(nextStep(refusedTimes(step.progress, 1_000), policy, one).kind).toBe("hand-over");
    // Nor does one that another event behind the checkpoint has failed on.
    const after = afterHandled(afterFailed(startAt(0), one), one);
    expect(nextStep(refusedTimes({ ...after, alone: 2 }, 1_000), policy, { count: 1, upTo: 2 }).kind).toBe("hand-over");
  });

  test("one that was refused with others alone is not given up where it comes by itself the next time", () => {
    const policy = { ...POLICY, retries: 1 };
    const together = afterFailed(afterFailed(startAt(0), { count: 3, upTo: 6 }));
    expect(nextStep(together, policy, { count: 1, upTo: 4 })).toMatchObject({ kind: "take-apart", progress: { failures: 0, alone: 4 } });
  });

  test("without retries a batch is taken apart at once, and one is given up at once", () => {
    const policy = { ...POLICY, retries: 0 };
    expect(nextStep(afterFailed(startAt(0)), policy, { count: 2, upTo: 2 }).kind).toBe("take-apart");
    const one = { count: 1, upTo: 1 };
    expect(nextStep(afterFailed(startAt(0), one), policy, one).kind).toBe("dead-letter");
  });

  test("waits grow up to a bound, and are spread", () => {
    const waits = [1, 5, 100].map((times) => waitAfter(refusedTimes(startAt(0), times), DEFAULT_POLICY, 0.999));
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits.at(-1)).toBeLessThanOrEqual(300_000);
    expect(waitAfter(refusedTimes(startAt(0), 100), DEFAULT_POLICY, 0)).toBeLessThan(100);
  });
});

/** A world of one subscription: a log, a filter, a handler with its faults, and a shell that is killed anywhere. */
interface World {
  /** Of each position: whether the filter lets it through, and how often its event is refused before it is handled. */
  readonly events: readonly { readonly passes: boolean; readonly refusals: number }[];
  /** Steps at which the shell is killed before it has written what became of it. */
  readonly kills: ReadonlySet<number>;
  readonly policy: SubscriptionPolicy;
  readonly resumes: number;
}

const world: fc.Arbitrary<World> = fc.record({
  events: fc.array(fc.record({ passes: fc.boolean(), refusals: fc.constantFrom(0, 0, 0, 0, 1, 2, 9, Number.POSITIVE_INFINITY) }), {
    maxLength: 30,
  }),
  kills: fc.array(fc.nat(200), { maxLength: 20 }).map((steps) => new Set(steps)),
  policy: fc.record({
    batchSize: fc.integer({ min: 1, max: 8 }),
    retries: fc.nat(5),
    onFailure: fc.constantFrom("dead-letter", "stop"),
    maxConsecutiveDeadLetters: fc.nat(4),
    backoff: fc.constant(DEFAULT_POLICY.backoff),
  }),
  resumes: fc.nat(3),
});

interface Told {
  readonly handed: number[][];
  readonly handled: number[];
  readonly aside: number[];
  progress: Progress;
}

/** Runs until all is through, or the subscription stands still. Checks each step by what a user could see. */
function run({ events, kills, policy, resumes }: World): Told {
  const told: Told = { handed: [], handled: [], aside: [], progress: startAt(0) };
  const left = events.map(({ refusals }) => refusals);
  const hadAlone = new Set<number>();
  const isDone = (position: number) => told.handled.includes(position) || told.aside.includes(position);
  const write = (progress: Progress) => {
    for (const [i, { passes }] of events.entries()) {
      if (passes && i + 1 <= progress.checkpoint) expect(isDone(i + 1)).toBe(true);
    }
    expect(progress.checkpoint).toBeGreaterThanOrEqual(told.progress.checkpoint);
    told.progress = progress;
  };
  let toResume = resumes;
  for (let step = 0; step < 5_000; step++) {
    const { progress } = told;
    if (progress.isStopped) {
      if (toResume-- === 0) return told;
      write(resumed(progress));
      continue;
    }
    const size = sizeOfBatch(progress, policy);
    const matching = events.flatMap(({ passes }, i) => (passes && i + 1 > progress.checkpoint ? [i + 1] : []));
    const positions = matching.slice(0, size);
    const upTo = positions.length < size ? events.length : (positions.at(-1) ?? 0);
    if (positions.length === 0) {
      write(afterPassed(progress, upTo));
      return told;
    }
    const batch = { count: positions.length, upTo };
    let after = progress;
    let decided = nextStep(progress, policy, batch);
    if (decided.kind === "hand-over") {
      told.handed.push(positions);
      if (batch.count === 1) hadAlone.add(positions[0] ?? 0);
      const known = isToBeNoted(progress, batch) || !kills.has(step) ? batch : undefined;
      const culprit = positions.find((position) => (left[position - 1] ?? 0) > 0);
      if (culprit === undefined) {
        told.handled.push(...positions);
        if (!kills.has(step)) write(afterHandled(progress, batch));
        else write(afterFailed(progress, known));
        continue;
      }
      left[culprit - 1] = (left[culprit - 1] ?? 0) - 1;
      after = afterFailed(progress, known);
      decided = nextStep(after, policy, batch);
      expect(waitAfter(after, policy, 0.5)).toBeGreaterThan(0);
    }
    if (decided.kind === "dead-letter") {
      // 7a
      expect(positions.map((position) => hadAlone.has(position))).toEqual([true]);
      expect(policy.onFailure).toBe("dead-letter");
      told.aside.push(...positions);
    }
    write(decided.kind === "hand-over" ? after : decided.progress);
  }
  throw new Error("the subscription never comes to an end");
}

test("whatever is refused and whoever is killed: at least once, in order, and the checkpoint passes nothing unhandled", () => {
  fc.assert(
    fc.property(world, (given) => {
      const { handed, handled, aside, progress } = run(given);
      for (const positions of handed) expect(positions).toEqual(positions.toSorted((a, b) => a - b));
      // First handling is in order: whatever is handled for the first time stands behind all that was before.
      const first = handled.filter((position, i) => handled.indexOf(position) === i);
      expect(first).toEqual(first.toSorted((a, b) => a - b));
      const all = given.events.flatMap(({ passes }, i) => (passes ? [i + 1] : []));
      const done = new Set([...handled, ...aside]);
      if (progress.isStopped) expect(all.filter((position) => position <= progress.checkpoint && !done.has(position))).toEqual([]);
      else expect(all.filter((position) => !done.has(position))).toEqual([]);
      expect([...handled, ...aside].every((position) => all.includes(position))).toBe(true);
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test("an event that can be handled is never set aside because of a neighbour", () => {
  fc.assert(
    fc.property(world, (given) => {
      const { aside, handled } = run({ ...given, kills: new Set() });
      for (const position of aside) {
        expect(given.events[position - 1]?.refusals).toBeGreaterThan(given.policy.retries);
        expect(handled).not.toContain(position);
      }
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test("it begins where it was told to", () => {
  const facts = { since: 7, head: 9 };
  expect((["beginning", "now", 3, 20] as const).map((from) => beginningOf(from, facts))).toEqual([0, 7, 3, 9]);
  expect(() => startAt(1.5)).toThrow("Broken invariant");
  expect(() => afterPassed(startAt(3), 2)).toThrow("Broken invariant");
  expect(() => afterHandled(startAt(3), { count: 1, upTo: 3 })).toThrow("Broken invariant");
});

test("what is kept of an error tells nothing of the data, unless its sentence was meant for that", () => {
  const secret = '{"name":"Ann"}x';
  let parseError: unknown;
  try {
    JSON.parse(secret);
  } catch (error) {
    parseError = error;
  }
  expect(messageOfFailure(parseError)).toBe("The handler threw SyntaxError.");
  expect(messageOfFailure(secret)).toBe("The handler threw a value that is not an error.");
  expect(messageOfFailure(Object.assign(new Error("x"), { name: secret }))).toBe("The handler threw an error.");
  expect(messageOfFailure(new HandlerError("The receiver\nanswered 503."))).toBe("The receiver answered 503.");
  expect(messageOfFailure(new UnavailableError("Not now."))).toBe("Not now.");
  expect(messageOfFailure(new HandlerError("x".repeat(1000)))).toHaveLength(300);
});

test.each([
  [{ batchSize: 0 }, "mailer.batchSize"],
  [{ batchSize: 1001 }, "mailer.batchSize"],
  [{ retries: -1 }, "mailer.retries"],
  [{ onFailure: "skip" }, "mailer.onFailure"],
  [{ maxConsecutiveDeadLetters: 0.5 }, "mailer.maxConsecutiveDeadLetters"],
  [{ backoff: { first: 0, longest: 10 } }, "mailer.backoff"],
  [{ backoff: { first: 10, longest: Number.POSITIVE_INFINITY } }, "mailer.backoff"],
  [{ onFailures: "stop" }, "mailer.onFailures"],
])("a policy that is none is refused by its part: %j", (given, field) => {
  const refusal = expect.objectContaining({ field });
  expect(() => completeOptions(given as object, POLICY_OPTIONS, "mailer.")).toThrow(refusal);
  expect(() => completeOptions(given as object, POLICY_OPTIONS, "mailer.")).toThrow(InvalidRequestError);
  expect(completeOptions({}, POLICY_OPTIONS, "mailer.")).toEqual(DEFAULT_POLICY);
});

test("a wait is as long as it was meant, and over where the clock was set back since", () => {
  const { longest } = POLICY.backoff;
  expect(waitLeft(5000, 2000, POLICY)).toBe(3000);
  expect(waitLeft(5000, 9000, POLICY)).toBe(0);
  expect(waitLeft(longest, 0, POLICY)).toBe(longest);
  expect(waitLeft(longest + 1, 0, POLICY)).toBe(0);
});
