import { expect, test } from "vitest";
import { afterPortion, confirmDeletion, type DeletionNote, deletionOf, storeDeleted } from "../../../shared/edge/deletion.ts";
import { InvalidRequestError, LogMismatchError, remedyOf } from "../../../shared/errors.ts";

const NOTE: DeletionNote = { store: "permits", events: 10, streams: 4, subscriptions: ["mails", "search"], isDone: false };

test("only the id of this log confirms a deletion", () => {
  expect(() => confirmDeletion("a", "a")).not.toThrow();
  expect(() => confirmDeletion("a", undefined)).toThrow(InvalidRequestError);
  expect(() => confirmDeletion("a", "")).toThrow(LogMismatchError);
  expect(() => confirmDeletion("a", "b")).toThrow(expect.objectContaining({ code: "log-mismatch", details: { log: "a" } }));
});

test("a portion leaves less, and it is done when storage has nothing more, whatever the counts say", () => {
  const some = { events: 3, streams: 1, subscriptions: ["mails"], hasMore: true };
  const after = afterPortion(NOTE, some);
  expect(after).toEqual({ store: "permits", events: 7, streams: 3, subscriptions: ["search"], isDone: false });
  expect(deletionOf("a", after)).toEqual({ log: "a", state: "deleting", events: 7, streams: 3, subscriptions: 1 });
  expect(afterPortion(NOTE, { ...some, events: 99, streams: 99 })).toMatchObject({ events: 0, streams: 0, isDone: false });
  const last = { events: 0, streams: 0, subscriptions: [], hasMore: false };
  // A subscription is left.
  expect(afterPortion(after, last)).toMatchObject({ subscriptions: ["search"], isDone: false });
  const done = afterPortion(after, { ...last, subscriptions: ["search"] });
  expect(done).toEqual({ store: "permits", events: 0, streams: 0, subscriptions: [], isDone: true });
  expect(deletionOf("a", done)).toEqual({ log: "a", state: "deleted", events: 0, streams: 0, subscriptions: 0 });
  expect(() => afterPortion(done, last)).toThrow("no further portion");
});

test("the app decides what becomes of a deleted store, and a device asks again after five minutes", () => {
  expect(remedyOf(storeDeleted().code)).toBe("ask");
  expect(storeDeleted().details).toEqual({ retryAfter: 300 });
});
