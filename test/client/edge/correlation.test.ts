/** Correlation and causation, on a device and at the edge. */
import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { type Caused, type CorrelatedEvent, readCorrelation } from "../../../client/correlation.ts";
import { causedTrees } from "../../../shared/event/causation.ts";
import { event } from "../../support/devices.ts";
import { edgeDevices } from "../../support/edge-devices.ts";
import { stock } from "../../support/stock.ts";

const { devices } = edgeDevices();

/** E.g. `asked(answered(filed), filed)`. */
const drawn = (trees: readonly Caused<CorrelatedEvent>[]): string =>
  trees.map(({ event: { type }, caused }) => (caused.length === 0 ? type : `${type}(${drawn(caused)})`)).join(", ");

test("an event continues the correlation of the one that caused it; one that nothing caused begins its own, and nothing is written into it", async () => {
  const a = await devices.open("A");
  await a.appendToStream("Case-1", [event(null, "asked")]);
  const [asked] = (await a.readStream("Case-1")).events;
  if (asked === undefined) throw new Error("there is one");
  expect(asked.metadata).toEqual({});
  await a.appendToStream("Case-2", [event(null, "answered")], { causedBy: asked });
  const [answered] = (await a.readStream("Case-2")).events;
  if (answered === undefined) throw new Error("there is one");
  expect(answered.metadata).toEqual({ correlationId: asked.id, causationId: asked.id });
  await a.sync();
  // At the edge, and by a command; what an event's own metadata says stands.
  await devices.atEdge.appendToStream("Case-3", [event(null, "filed")], { causedBy: answered });
  await a.handle("Stock-1", stock, { type: "Fill", units: 1 }, { causedBy: answered });
  await a.appendToStream("Case-1", [{ ...event(null, "other"), metadata: { correlationId: "mine" } }], { causedBy: asked });
  const { events } = await a.readStream("Case-1");
  expect(events.at(-1)?.metadata).toEqual({ correlationId: "mine", causationId: asked.id });

  expect(drawn(await readCorrelation(a, asked.id))).toBe("asked(answered(Filled))");
  await a.sync();
  expect(drawn(await readCorrelation(a, asked.id))).toBe("asked(answered(filed, Filled))");
  expect(drawn(await readCorrelation(devices.atEdge, asked.id))).toBe("asked(answered(filed, Filled))");
  for (const store of [a, devices.atEdge])
    expect(drawn(await readCorrelation(store, asked.id.toUpperCase()))).toBe("asked(answered(filed, Filled))");
  expect(drawn(await readCorrelation(a, "mine"))).toBe("other");
  expect(await readCorrelation(a, "nobody's")).toEqual([]);
});

test("a cause that is not among them, and causes in a circle, leave no event out", () => {
  const caused = (id: string, causationId?: string) => ({ id, metadata: causationId === undefined ? {} : { causationId } });
  expect(causedTrees([caused("a", "elsewhere"), caused("b", "a")])).toMatchObject([
    { event: { id: "a" }, caused: [{ event: { id: "b" } }] },
  ]);
  const count = (trees: readonly Caused<ReturnType<typeof caused>>[]): number =>
    trees.reduce((sum, tree) => sum + 1 + count(tree.caused), 0);
  expect(count(causedTrees([caused("a", "b"), caused("b", "a"), caused("c", "c"), caused("d", "a")]))).toBe(4);
});
