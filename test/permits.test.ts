/** The rules of `demo/permits`, one by one, and against the real log. Tests every statement of `docs/permits.md` about both. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { given } from "../client/testing/index.ts";
import { type Activity, isActivity, STEPS } from "../demo/permits/activities.ts";
import { ActivityRefused, type Permit, permits, REASONS, type Reason } from "../demo/permits/decider.ts";
import { initialStateOf } from "../shared/decider/initial-state.ts";

const CONTEXT = { actor: null, occurredAt: "2026-01-31T09:30:00.000Z", commandId: "00000000-0000-4000-8000-000000000001" };

const ACTIVITIES = Object.keys(STEPS).filter(isActivity);

/** The activity that begins with this, e.g. `T04`; `T01` is the confirmation of receipt. */
function activity(prefix: string): Activity {
  const found = prefix === "T01" ? "Confirmation of receipt" : ACTIVITIES.find((name) => name.startsWith(`${prefix} `));
  if (found === undefined) throw new Error(`There is no activity ${prefix}.`);
  return found;
}

/** What stands after the activities of `path`, e.g. `T01 T02`. */
function having(path: string) {
  const events = path
    .split(" ")
    .filter((prefix) => prefix !== "")
    .map((prefix) => ({ type: activity(prefix), data: {} }));
  return {
    accepts: (prefix: string) =>
      given(permits, ...events)
        .when({ activity: activity(prefix) })
        .then({ type: activity(prefix), data: {} }),
    refuses: (prefix: string, reason: Reason) =>
      given(permits, ...events)
        .when({ activity: activity(prefix) })
        .thenRefused((error) => error instanceof ActivityRefused && error.reason === reason),
  };
}

test("what the desk notes, and who did it, stand in the event", () => {
  given(permits)
    .when({ activity: "Confirmation of receipt", data: { channel: "Desk" }, actor: "Resource26" })
    .then({ type: "Confirmation of receipt", data: { channel: "Desk" }, metadata: { actor: "Resource26" } });
});

test("a refusal is a sentence", () => {
  given(permits, { type: "Confirmation of receipt", data: {} })
    .when({ activity: "T04 Determine confirmation of receipt" })
    .thenRefused(/^T04 Determine confirmation of receipt: The letter was not checked since its last change\.$/);
});

test("nothing precedes the request, which is made once", () => {
  for (const name of ACTIVITIES.filter((name) => name !== "Confirmation of receipt")) {
    given(permits)
      .when({ activity: name })
      .thenRefused(/Nothing was requested yet/);
  }
  having("").accepts("T01");
  having("T01").refuses("T01", "already-requested");
});

describe.each([
  ["receipt", "", ["T01", "T02", "T03", "T04", "T05"]],
  ["unlicensed", "T01 T02 T04 T05 T06 T10 ", ["T11", "T12", "T13", "T14", "T15"]],
  ["hold", "T01 T06 T10 ", ["T16", "T17", "T18", "T19", "T20"]],
] as const)("the letter %s", (name, before, [draft, check, adjust, determine, send]) => {
  test("is drafted, checked, determined and sent", () => {
    having(before + draft).accepts(check);
    having(`${before}${draft} ${check}`).accepts(determine);
    having(`${before}${draft} ${check} ${determine}`).accepts(send);
  });

  test("leaves none of it out", () => {
    if (name !== "receipt") for (const step of [check, adjust, determine, send]) having(before.trim()).refuses(step, "not-drafted");
    for (const step of [adjust, determine, send]) having(before + draft).refuses(step, "not-checked");
    having(`${before}${draft} ${check}`).refuses(send, "not-determined");
  });

  test("is adjusted until it is sent, and then checked and determined again", () => {
    having(`${before}${draft} ${check}`).accepts(adjust);
    having(`${before}${draft} ${check} ${determine}`).accepts(adjust);
    const adjusted = `${before}${draft} ${check} ${determine} ${adjust}`;
    for (const step of [determine, send]) having(adjusted).refuses(step, "not-checked");
    having(adjusted).accepts(check);
  });

  test("goes through nothing twice", () => {
    if (name !== "receipt") having(before + draft).refuses(draft, "already-drafted");
    having(`${before}${draft} ${check}`).refuses(check, "already-checked");
    for (const step of [check, determine]) having(`${before}${draft} ${check} ${determine}`).refuses(step, "already-determined");
    const sent = `${before}${draft} ${check} ${determine} ${send}`;
    for (const step of [check, adjust, determine, send]) having(sent).refuses(step, name === "unlicensed" ? "case-closed" : "already-sent");
  });
});

describe("advice", () => {
  test("is given once it was determined that it is needed, and weighed", () => {
    for (const step of ["T07-1", "T08", "T09-1", "T10"]) having("T01").refuses(step, "advice-not-determined");
    having("T01").accepts("T06");
    for (const step of ["T07-1", "T07-2", "T07-3", "T07-4", "T07-5", "T08"]) having("T01 T06").accepts(step);
    having("T01 T06 T07-1").refuses("T10", "advice-not-weighed");
    having("T01 T06 T07-1 T06").accepts("T10");
  });

  test("is not determined twice on the same", () => {
    having("T01 T06").refuses("T06", "nothing-new");
    having("T01 T06 T07-1").accepts("T06");
  });

  test("comes once in a round", () => {
    having("T01 T06 T07-1").refuses("T07-1", "advice-repeated");
    having("T01 T06 T07-1").accepts("T07-2");
    having("T01 T06 T07-1 T06").accepts("T07-1");
    having("T01 T06 T08").refuses("T08", "advice-repeated");
  });

  test("of others is asked for, and waited for", () => {
    for (const step of ["T09-1", "T09-2", "T09-3", "T09-4"]) having("T01 T06").refuses(step, "advice-not-requested");
    for (const step of ["T06", "T10"]) having("T01 T06 T08 T07-1").refuses(step, "advice-awaited");
    for (const step of ["T09-1", "T09-2", "T09-3", "T09-4"]) having("T01 T06 T08 T07-1").accepts(step);
    having("T01 T06 T08 T09-1").accepts("T06");
    having("T01 T06 T08 T09-1 T06").refuses("T09-2", "advice-not-requested");
  });

  test("comes too late when the outcome was determined", () => {
    for (const step of ["T06", "T07-1", "T08", "T09-1", "T10"]) having("T01 T06 T10").refuses(step, "outcome-determined");
  });
});

describe("the outcome", () => {
  test("is determined before a letter tells it, and is one", () => {
    for (const step of ["T11", "T16"]) having("T01 T06").refuses(step, "outcome-not-determined");
    for (const step of ["T11", "T16"]) having("T01 T06 T10").accepts(step);
    having("T01 T06 T10 T11").refuses("T16", "other-outcome");
    having("T01 T06 T10 T16").refuses("T11", "other-outcome");
  });

  test("ends the case where no permit is needed, once the applicant has a receipt", () => {
    having("T01 T06 T10 T11 T12 T14").refuses("T15", "receipt-not-sent");
    having("T01 T06 T10 T11 T12 T14 T02 T04 T05").accepts("T15");
    for (const name of ACTIVITIES.filter((name) => name !== "Confirmation of receipt")) {
      const prefix = name.split(" ")[0] ?? "";
      having("T01 T02 T04 T05 T06 T10 T11 T12 T14 T15").refuses(prefix, "case-closed");
    }
  });

  test("leaves the case open where it is on hold", () => {
    having("T01 T06 T10 T16 T17 T19 T20").accepts("T02");
  });
});

test("what these rules do not know changes nothing", () => {
  const foreign: { type: string; data: object } = { type: "T99 Archive", data: {} };
  const permit: Permit = { letters: { receipt: "checked" }, question: "advice", round: [] };
  expect(permits.evolve(permit, foreign as never)).toBe(permit);
});

describe("the real log", () => {
  const streams = Map.groupBy(readLog(), ({ stream }) => stream);
  const { accepted, refused } = replay([...streams.values()]);

  test("is accepted, but for what is refused with a reason", () => {
    const table = ACTIVITIES.map((name) => [name, accepted.get(name) ?? 0, ...Object.entries(refused.get(name) ?? {}).flat()].join("  "));
    console.log(`${streams.size} streams; activity, accepted, and refused by reason:\n${table.join("\n")}`);
    expect([streams.size, sum(accepted.values())]).toEqual([1434, 8570]);
    expect(Object.fromEntries(refused)).toEqual({
      "T05 Print and send confirmation of receipt": { "not-determined": 1 },
      "T06 Determine necessity of stop advice": { "nothing-new": 6 },
    });
  });

  test("has each of the 27 activities, and each is accepted", () => {
    expect(ACTIVITIES).toHaveLength(27);
    expect([...accepted.keys()].sort()).toEqual([...ACTIVITIES].sort());
  });

  test("is what docs/permits.md says it is", () => {
    const page = readFileSync(new URL("../docs/permits.md", import.meta.url), "utf8");
    for (const name of ACTIVITIES) {
      const row = page.split("\n").find((line) => line.startsWith(`| ${name} `));
      const counts = [accepted.get(name) ?? 0, sum(Object.values(refused.get(name) ?? {}))].map((count) => count.toLocaleString("en"));
      expect(
        row
          ?.split("|")
          .map((cell) => cell.trim())
          .slice(-3, -1),
        `the row of ${name}`,
      ).toEqual(counts);
    }
    for (const sentence of Object.values(REASONS)) expect(page).toContain(sentence);
  });

  // What a rubber stamp would let through.
  test("is noticed to be wrong where a step is recorded twice, left out, or exchanged with the next", () => {
    const paths = [...streams.values()].map((lines) => lines.map(({ type }) => type)).filter((path) => refusals(path) === 0);
    const isNoticed = (path: readonly Activity[]) => refusals(path) > 0;
    const twice = paths.flatMap((path) => path.map((name, i) => path.toSpliced(i, 0, name)));
    const without = paths.flatMap((path) => path.slice(1).map((_, i) => path.toSpliced(i, 1)));
    const exchanged = paths.flatMap((path) => path.slice(1).map((name, i) => path.toSpliced(i, 2, name, path[i] ?? name)));
    expect([twice, without, exchanged].map((changed) => [changed.filter(isNoticed).length, changed.length])).toEqual([
      [8534, 8534],
      [5797, 7104],
      [5308, 7104],
    ]);
  });
});

interface Line {
  readonly stream: string;
  readonly type: Activity;
}

function readLog(): Line[] {
  const text = gunzipSync(readFileSync(new URL("data/permits.ndjson.gz", import.meta.url))).toString();
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** Each line as a command on what was accepted before it. */
function replay(streams: readonly (readonly Line[])[]) {
  const accepted = new Map<Activity, number>();
  const refused = new Map<Activity, Partial<Record<Reason, number>>>();
  for (const lines of streams) {
    let permit = initialStateOf(permits);
    for (const { type } of lines) {
      const answer = decide(type, permit);
      if (typeof answer === "string") {
        const reasons = refused.get(type) ?? {};
        refused.set(type, { ...reasons, [answer]: (reasons[answer] ?? 0) + 1 });
      } else {
        permit = answer;
        accepted.set(type, (accepted.get(type) ?? 0) + 1);
      }
    }
  }
  return { accepted, refused };
}

function decide(name: Activity, permit: Permit): Permit | Reason {
  try {
    return [permits.decide({ activity: name }, permit, CONTEXT) ?? []]
      .flat()
      .reduce((state, event) => permits.evolve(state, event), permit);
  } catch (error) {
    if (!(error instanceof ActivityRefused)) throw error;
    return error.reason;
  }
}

function refusals(path: readonly Activity[]): number {
  const { refused } = replay([path.map((type) => ({ stream: "Permit-0", type }))]);
  return sum([...refused.values()].flatMap((reasons) => Object.values(reasons)));
}

function sum(counts: Iterable<number>): number {
  return [...counts].reduce((total, count) => total + count, 0);
}
