import fc from "fast-check";
import { expect, test } from "vitest";
import { BLOCK, blockEnd, blockOf, commandPrint, type EventIds, Fingerprints, idPrint } from "../../../shared/edge/fingerprints.ts";
import { SEED } from "../../support/seed.ts";

const ids = fc.array(fc.record({ id: fc.uuid(), commandId: fc.option(fc.uuid(), { nil: undefined }) }), { maxLength: 50 });

function isFound(prints: Fingerprints, { id, commandId }: EventIds, place: number): boolean {
  return (
    prints.placesOf(idPrint(id)).includes(place) && (commandId === undefined || prints.placesOf(commandPrint(commandId)).includes(place))
  );
}

test("versions belong to blocks", () => {
  expect([1, BLOCK, BLOCK + 1, 2 * BLOCK].map(blockOf)).toEqual([0, 0, 1, 1]);
  expect([blockEnd(0), blockEnd(1)]).toEqual([BLOCK, 2 * BLOCK]);
});

test("each id of a block is found at its place, also once the block was stored", () => {
  fc.assert(
    fc.property(ids, (events) => {
      const prints = Fingerprints.of(events);
      const read = Fingerprints.from(prints.toBytes());
      for (const [place, event] of events.entries())
        expect([isFound(prints, event, place), isFound(read, event, place)]).toEqual([true, true]);
      expect(read.toBytes()).toEqual(prints.toBytes());
    }),
    { seed: SEED },
  );
});

test("all places of a command are found, in order", () => {
  const command = crypto.randomUUID();
  const events = [command, undefined, command, command].map((commandId) => ({ id: crypto.randomUUID(), commandId }));
  expect(Fingerprints.of(events).placesOf(commandPrint(command))).toEqual([0, 2, 3]);
});

test("an event's id is not taken for a command's", () => {
  const id = crypto.randomUUID();
  const prints = Fingerprints.of([{ id, commandId: undefined }]);
  expect([prints.placesOf(idPrint(id)), prints.placesOf(commandPrint(id))]).toEqual([[0], []]);
});

test("other ids are seldom found: random ones, and those that a clock counts up", () => {
  const counted = (i: number) => `0192c8a4-${i.toString(16).padStart(4, "0")}-7000-8000-000000000000`;
  for (const idOf of [() => crypto.randomUUID(), counted]) {
    const prints = Fingerprints.of(Array.from({ length: BLOCK }, (_, i) => ({ id: idOf(i), commandId: undefined })));
    const others = Array.from({ length: 20_000 }, (_, i) => idOf(BLOCK + i));
    // One in four millions is to be expected.
    expect(others.filter((id) => prints.placesOf(idPrint(id)).length > 0).length).toBeLessThanOrEqual(2);
  }
});

test("what storage has cut is read without an error", () => {
  const bytes = Fingerprints.of([{ id: crypto.randomUUID(), commandId: crypto.randomUUID() }]).toBytes();
  for (let length = 0; length < bytes.length; length++) Fingerprints.from(bytes.slice(0, length)).placesOf(1);
});
