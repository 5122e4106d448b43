/** Subscriptions on a device whose copy of the log changes: it gets wider, is fetched again, or is of another history. */
import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { event } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { eventually } from "../../support/eventually.ts";
import { note, taking } from "./handlers.ts";

const { anotherStore, devices } = edgeDevices();

test("what a wider filter brings to the device is handed over too, once; and after a reset it goes on where it was", async () => {
  const a = await devices.open("A");
  await note(a, 1, 2);
  await a.appendToStream("Other-1", [event("other")]);
  await note(a, 3);
  await a.sync();
  const part = await devices.open("B", { sync: { filter: { categories: ["Other"] } } });
  await part.sync();
  const { taken, handler } = taking();
  part.subscribe(handler, { name: "mailer" });
  await eventually(async () => expect((await part.subscription("mailer")).status).toMatchObject({ position: 4 }));
  expect(taken).toEqual(["other"]);
  await part.close();
  const whole = await devices.open("B");
  whole.subscribe(handler, { name: "mailer" });
  await whole.sync();
  await eventually(() => expect(taken).toEqual(["other", 1, 2, 3]));
  await note(a, 4);
  await a.sync();
  await whole.sync();
  await eventually(() => expect(taken).toEqual(["other", 1, 2, 3, 4]));
  // The same history comes back: it goes on where it was.
  await whole.reset();
  await note(a, 5);
  await a.sync();
  await whole.sync();
  await eventually(() => expect(taken).toEqual(["other", 1, 2, 3, 4, 5]));
});

test("another history stops it, until it is told where to begin on that", async () => {
  const a = await devices.open("A");
  await note(a, 1, 2);
  await a.sync();
  const { taken, handler } = taking();
  a.subscribe(handler, { name: "mailer" });
  await eventually(() => expect(taken).toEqual([1, 2]));
  await a.close();
  const other = anotherStore();
  const before = await other.open("X");
  await note(before, 7, 8, 9);
  await before.sync();
  const moved = await devices.open("A", { sync: { url: other.url, movedFrom: devices.url } });
  await expect(moved.sync()).rejects.toMatchObject({ code: "log-mismatch" });
  await moved.reset({ keepPending: false });
  moved.subscribe(handler, { name: "mailer" });
  await moved.sync();
  const mailer = await moved.subscription("mailer");
  await eventually(async () =>
    expect(mailer.status).toMatchObject({ state: "stopped", error: expect.stringContaining("another history") }),
  );
  expect(taken).toEqual([1, 2]);
  await mailer.reset(1);
  await eventually(() => expect(taken).toEqual([1, 2, 8, 9]));
  await other.close();
});

test("without a name it continues after its position in another history, and hands each event over once", async () => {
  const other = anotherStore();
  const before = await other.open("X");
  await note(before, 7, 8, 9);
  await before.sync();
  let { url } = devices;
  const a = await devices.open("A", { sync: { fetch: (address, init) => fetch(String(address).replace(devices.url, url), init) } });
  const { taken, handler } = taking();
  a.subscribe(handler, { from: "beginning" });
  await note(a, 1, 2);
  await a.sync();
  await eventually(() => expect(taken).toEqual([1, 2]));
  ({ url } = other);
  await expect(a.sync()).rejects.toMatchObject({ code: "log-mismatch" });
  await a.reset({ keepPending: false });
  await a.sync();
  await note(a, 10);
  await a.sync();
  await eventually(() => expect(taken).toEqual([1, 2, 9, 10]));
  await other.close();
});
