import { describe, expect, test } from "vitest";
import { linkStatusOf, type SyncSettings, type SyncState, type Unsent } from "../../../shared/device/sync.ts";
import { storeDeleted } from "../../../shared/edge/deletion.ts";
import { divergedError } from "../../../shared/edge/publication.ts";
import { StorageDamagedError, StoreFullError, UnauthenticatedError, UnavailableError } from "../../../shared/errors.ts";
import { pageDigestOf } from "../../../shared/event/digest.ts";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { toPosition, toVersion } from "../../../shared/order.ts";
import { parseStreamId } from "../../../shared/stream-id.ts";
import type { FeedPage, PushAnswer } from "../../../shared/wire/wire.ts";
import { Driven, LOG, SETTINGS, unsent } from "./driven.ts";

test("a page is applied with what the edge has answered, and one is requested after a conflict", () => {
  const machine = new Driven();
  machine.give({ kind: "called" });
  machine.pull(0, []);
  machine.outbox(1);
  const { request, batch } = machine.take("push");
  const [entry] = batch;
  expect(entry?.seq).toBe(1);
  const conflict = { status: "conflict", streamId: "S-1", expectedVersion: 0, actualVersion: 2 };
  machine.give({ kind: "push-answered", request, answer: { log: LOG, results: [conflict] } as PushAnswer });
  const page = { log: LOG, position: 2, head: 2, events: [] };
  machine.give({ kind: "page-received", request: machine.take("pull").request, page });
  expect([...machine.take("apply").awaited]).toEqual([[1, { streamId: "S-1", kind: "contested" }]]);
});

test.each([false, true])(
  "after a conflict, the next push waits for the page that resolves it, unless the store goes on by itself: %s",
  (automatic) => {
    const machine = new Driven({ ...SETTINGS, automatic, push: { commits: 2, streams: 1, size: 1024 } });
    machine.give({ kind: "called" });
    machine.pull(0, []);
    machine.outbox(1, 2);
    const { request } = machine.take("push");
    const conflict = { status: "conflict", streamId: "S-1", expectedVersion: 0, actualVersion: 2 };
    machine.give({ kind: "push-answered", request, answer: { log: LOG, results: [conflict] } as PushAnswer });
    expect(machine.has("read-outbox")).toBe(automatic);
    machine.pull(2, [1]);
    machine.outbox(2);
    expect(machine.take("push").batch.map(({ seq }) => seq)).toEqual([2]);
  },
);

test("a feed that is always a little behind a long push does not lag", () => {
  const machine = new Driven();
  machine.give({ kind: "called" });
  machine.pull(0, []);
  machine.outbox(1);
  for (let seq = 1; seq <= 100; seq++) {
    machine.push();
    machine.give({ kind: "timer", timer: "lag" });
    machine.pull(seq - 1, seq === 1 ? [] : [seq - 1]);
    machine.outbox(seq + 1);
  }
  expect(machine.has("failed")).toBe(false);
});

test("a feed that does not bring the oldest of what was pushed lags, whatever else it brings, and all is sent again", () => {
  const machine = new Driven();
  machine.give({ kind: "called" });
  machine.pull(0, []);
  machine.outbox(1);
  machine.push();
  for (let seq = 2; !machine.has("failed"); seq++) {
    expect(seq).toBeLessThan(20);
    machine.outbox(seq);
    machine.push();
    machine.give({ kind: "timer", timer: "lag" });
    if (!machine.has("failed")) machine.pull(seq - 1, [seq]);
  }
  expect(machine.take("failed").error).toBeInstanceOf(UnavailableError);
  machine.give({ kind: "called" });
  machine.outbox(1);
  expect(machine.take("push").batch.map(({ seq }) => seq)).toEqual([1]);
});

test("a commit on which the edge fails does not keep the others from being sent, although each call of sync() is a session of its own", () => {
  const settings = { ...SETTINGS, push: { ...SETTINGS.push, commits: 20, streams: 20 } };
  const sent: number[][] = [];
  let before: SyncState | undefined;
  while (!sent.some(([first]) => first === 2)) {
    expect(sent.length).toBeLessThan(10);
    const machine = new Driven(settings, {}, before);
    machine.give({ kind: "called" });
    machine.pull(0, []);
    machine.outbox(1, 2);
    const { request, batch } = machine.take("push");
    sent.push(batch.map(({ seq }) => seq));
    machine.give({ kind: "push-failed", request, failure: { kind: "problem", error: new UnavailableError() } });
    machine.take("failed");
    before = machine.state;
  }
  expect(sent).toEqual([[1, 2], [1, 2], [1, 2], [1], [2]]);
});

/** A page of the events behind a position, up to another one. */
function pageOf(after: number, position: number): FeedPage {
  const { entry } = unsent(1);
  const events = entry.events.flatMap((body): ConfirmedEvent[] =>
    Array.from({ length: position - after }, (_, i) => {
      const at = after + 1 + i;
      const recorded = { position: toPosition(at), recordedAt: "2026-01-01T00:00:00Z", actor: null };
      return { ...body, id: `id-${at}`, streamId: entry.streamId, version: toVersion(at), ...recorded };
    }),
  );
  return { log: LOG, position, head: position, events };
}

test.each([
  [0, 3],
  [0, 4],
  [2, 6],
])("on the feed socket, a late page after %i up to %i is not taken for the one that was requested after 4", (after, position) => {
  const machine = new Driven({ ...SETTINGS, automatic: true, feedSocket: true });
  machine.give({ kind: "woken" });
  machine.pull(4, []);
  const { request, query } = machine.take("listen");
  expect(query.after).toBe(4);
  machine.give({ kind: "page-received", request, page: pageOf(after, position) });
  expect(machine.has("apply")).toBe(false);
  machine.give({ kind: "page-received", request, page: pageOf(4, 6) });
  expect(machine.take("apply").page.events.map((event) => Number(event.position))).toEqual([5, 6]);
});

test.each([
  [0, 3],
  [2, 6],
])("the answer to a request is a failure if its page is after %i up to %i, and one after 4 was requested", (after, position) => {
  const machine = new Driven(SETTINGS, { position: 4, head: 4 });
  machine.give({ kind: "called" });
  machine.give({ kind: "page-received", request: machine.take("pull").request, page: pageOf(after, position) });
  expect(machine.has("apply")).toBe(false);
  expect(machine.take("failed").error.message).toContain("does not continue the feed");
});

test("a page that can't be stored is requested after longer and longer waits, although each request is answered", () => {
  const machine = new Driven({ ...SETTINGS, automatic: true });
  machine.give({ kind: "woken" });
  const waits = Array.from({ length: 30 }, () => {
    const { request } = machine.take("pull");
    machine.give({ kind: "page-received", request, page: pageOf(0, 2) });
    machine.give({ kind: "storage-failed", request: machine.take("apply").request, error: new StoreFullError() }, 0.999);
    const { timer, milliseconds } = machine.take("wait");
    expect(timer).toBe("pull");
    machine.give({ kind: "timer", timer: "pull" });
    return milliseconds;
  });
  expect(waits).toEqual(waits.toSorted((a, b) => a - b));
  expect(waits[0]).toBeLessThan(301);
  expect(waits.at(-1)).toBeGreaterThan(29_000);
});

test("a push whose refusals can't be stored is sent again after longer and longer waits, and the problem stays", () => {
  const machine = new Driven({ ...SETTINGS, automatic: true });
  machine.give({ kind: "woken" });
  machine.pull(0, []);
  const refused = { status: "rejected", streamId: "S-1", code: "forbidden", detail: "No." };
  const error = new StoreFullError();
  const waits = Array.from({ length: 30 }, (_, i) => {
    machine.outbox(1);
    machine.give({ kind: "push-answered", request: machine.take("push").request, answer: { log: LOG, results: [refused] } as PushAnswer });
    expect(linkStatusOf(machine.state).problem).toBe(i === 0 ? null : error);
    machine.give({ kind: "storage-failed", request: machine.take("record").request, error }, 0.999);
    expect(linkStatusOf(machine.state).problem).toBe(error);
    const { timer, milliseconds } = machine.take("wait");
    expect(timer).toBe("push");
    machine.give({ kind: "timer", timer: "push" });
    return milliseconds;
  });
  expect(waits).toEqual(waits.toSorted((a, b) => a - b));
  expect(waits.at(-1)).toBeGreaterThan(29_000);
});

describe("what the status says while streams are deferred", () => {
  const silent = new UnavailableError("The edge did not answer.");
  const deferred = new UnavailableError("A commit to S-1 does not get through.", {}, { cause: silent });
  const leads = new UnavailableError("The address leads elsewhere.");
  const expired = new UnauthenticatedError("The token has expired.");
  const trouble = null;
  test.each([
    ["nothing else: their reason", null, deferred],
    [
      "a push that fails for the same reason: theirs, which names the stream",
      { trouble, error: new UnavailableError(silent.message) },
      deferred,
    ],
    ["a push that fails for another reason: that one", { trouble, error: leads }, leads],
    ["an edge that can't be reached: that", { trouble: "offline" as const, error: silent }, silent],
    ["credentials that are rejected: that", { trouble: "unauthorized" as const, error: expired }, expired],
  ])("%s", (_, push, problem) => {
    const state = new Driven().state;
    const shown = linkStatusOf({ ...state, link: { kind: "open" }, problems: { ...state.problems, push, deferred } });
    expect(shown.problem).toBe(problem);
  });
});

test("entries that a push passed over go with the next one, before the outbox is read on", () => {
  const machine = new Driven({ ...SETTINGS, push: { commits: 9, streams: 1, size: 9_999 } });
  machine.give({ kind: "called" });
  machine.pull(0, []);
  const { request } = machine.take("read-outbox");
  const of = (seq: number, stream: number): Unsent => {
    const item = unsent(seq);
    return { ...item, entry: { ...item.entry, streamId: parseStreamId(`S-${stream}`) } };
  };
  machine.give({ kind: "outbox-read", request, unsent: [of(1, 1), of(2, 2), of(3, 1), of(4, 2)], isEnd: false });
  const sent: number[][] = [];
  while (machine.has("push")) {
    const effect = machine.take("push");
    sent.push(effect.batch.map(({ seq }) => seq));
    const results = effect.batch.map(({ streamId }) => ({ status: "committed", streamId, firstVersion: 1, version: 1, position: null }));
    machine.give({ kind: "push-answered", request: effect.request, answer: { log: LOG, results } as PushAnswer });
  }
  expect(sent).toEqual([
    [1, 3],
    [2, 4],
  ]);
  expect(machine.take("read-outbox").after).toBe(4);
});

test("after a refusal, the outbox is read from the first entry that was passed over", () => {
  const machine = new Driven({ ...SETTINGS, push: { commits: 9, streams: 1, size: 9_999 } });
  machine.give({ kind: "called" });
  machine.pull(0, []);
  const { request } = machine.take("read-outbox");
  const [one, two, three] = [unsent(1), unsent(2), unsent(3)];
  const last = { ...three, entry: { ...three.entry, streamId: one.entry.streamId } };
  machine.give({ kind: "outbox-read", request, unsent: [one, two, last], isEnd: false });
  const push = machine.take("push");
  expect(push.batch.map(({ seq }) => seq)).toEqual([1, 3]);
  const rejected = { status: "rejected", streamId: "S-1", code: "event-id-reused", detail: "taken" };
  const results = [rejected, { status: "skipped", streamId: "S-1" }];
  machine.give({ kind: "push-answered", request: push.request, answer: { log: LOG, results } as PushAnswer });
  machine.give({ kind: "refusals-recorded", request: machine.take("record").request, left: [1, 3] });
  expect(machine.take("read-outbox").after).toBe(1);
});

test("the feed is asked while a long outbox is pushed, once the edge has taken two pages of it", () => {
  const machine = new Driven({ ...SETTINGS, pageEvents: 3 });
  machine.give({ kind: "called" });
  machine.pull(0, []);
  for (let seq = 1; seq <= 6; seq++) {
    expect(machine.has("pull"), `after ${seq - 1} commits`).toBe(false);
    machine.outbox(seq);
    machine.push();
  }
  machine.pull(3, [1, 2, 3]);
  expect([...machine.state.awaited.keys()]).toEqual([4, 5, 6]);
  expect(machine.has("read-outbox")).toBe(true);
});

const WIDE: SyncSettings = { ...SETTINGS, push: { commits: 9, streams: 9, size: 10_000 } };

test("a stream that the edge can't append to is deferred by name, and the rest of the push goes at once", () => {
  const machine = new Driven(WIDE);
  machine.give({ kind: "called" });
  machine.pull(0, []);
  machine.outbox(1, 2, 3);
  const error = divergedError("S-2", 4);
  machine.give({ kind: "push-failed", request: machine.take("push").request, failure: { kind: "problem", error } });
  expect(machine.take("failed").error).toBe(error);
  expect(linkStatusOf(machine.state)).toEqual({ connection: "online", problem: error });
  expect(machine.has("record")).toBe(false);
  machine.give({ kind: "called" });
  machine.outbox(1, 2, 3);
  expect(machine.take("push").batch.map(({ seq }) => seq)).toEqual([1, 3]);
  expect(machine.take("wait")).toMatchObject({ timer: "deferred" });
});

test.each(["pull", "push"] as const)("a store that was deleted: a %s is told, nothing is parked or sent, and it asks rarely", (lane) => {
  const machine = new Driven({ ...WIDE, automatic: true });
  const failure = { kind: "problem", error: storeDeleted() } as const;
  machine.give({ kind: "woken" });
  if (lane === "push") {
    machine.pull(0, []);
    machine.outbox(1, 2);
    machine.give({ kind: "push-failed", request: machine.take("push").request, failure });
  }
  machine.give({ kind: "pull-failed", request: machine.take("pull").request, failure });
  expect(machine.has("record")).toBe(false);
  expect(linkStatusOf(machine.state)).toEqual({ connection: "diverged", problem: failure.error });
  const { timer, milliseconds } = machine.take("wait");
  expect([timer, milliseconds >= 300_000]).toEqual(["pull", true]);
  for (const input of [{ kind: "appended" }, { kind: "timer", timer: "poll" }, { kind: "timer", timer: "push" }] as const) {
    machine.give(input);
    expect([input, machine.has("pull"), machine.has("push"), machine.has("read-outbox")]).toEqual([input, false, false, false]);
  }
  // Whoever calls is told at once.
  machine.give({ kind: "called" });
  machine.give({ kind: "pull-failed", request: machine.take("pull").request, failure });
  expect(machine.take("failed").error).toBe(failure.error);
});

test("a push that fails because the edge is damaged, and names no stream of it, is sent again and nothing is parked", () => {
  const machine = new Driven(WIDE);
  machine.give({ kind: "called" });
  machine.pull(0, []);
  machine.outbox(1);
  const error = new StorageDamagedError();
  machine.give({ kind: "push-failed", request: machine.take("push").request, failure: { kind: "problem", error } });
  expect(machine.has("record")).toBe(false);
  expect(machine.state.push.kind).toBe("backing-off");
});

test.each([
  ["with another digest", { digest: "0".repeat(16) }],
  ["of which a letter has changed", { events: pageOf(4, 6).events.map((event) => ({ ...event, data: "changed" })) }],
  ["that lacks an event", { events: pageOf(4, 6).events.slice(1) }],
])("a page %s is not applied, and the status says so", (_, change) => {
  const machine = new Driven(SETTINGS, { position: 4, head: 4 });
  machine.give({ kind: "called" });
  const page = pageOf(4, 6);
  const changed = { ...page, digest: pageDigestOf(page.events), ...change };
  machine.give({ kind: "page-received", request: machine.take("pull").request, page: changed });
  expect(machine.has("apply")).toBe(false);
  expect(linkStatusOf(machine.state)).toMatchObject({ connection: "offline", problem: { code: "storage-damaged", position: 5 } });
  expect(machine.take("failed").error).toMatchObject({ code: "storage-damaged" });
});
