import fc from "fast-check";
import { expect, test } from "vitest";
import { contentOf, EventDigests, eventDigest, pageDigest, pageDigestOf, type RecordedFields } from "../../../shared/event/digest.ts";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { toPosition, toVersion } from "../../../shared/order.ts";
import { SEED } from "../../support/seed.ts";

const FIELDS: RecordedFields = {
  id: "018f3c5e-0000-7000-8000-000000000001",
  type: "Happened",
  schemaVersion: 1,
  data: { of: [1, "ü€😀"] },
  metadata: { correlationId: "c" },
  occurredAt: "2026-01-01T00:00:00.000Z",
  recordedAt: "2026-01-01T00:00:01.000Z",
  actor: "ann",
};

function confirmed(position: number, more: Partial<ConfirmedEvent> = {}): ConfirmedEvent {
  const place = { streamId: "A-1", version: toVersion(position), position: toPosition(position), recordedAt: "2026-01-01T00:00:01.000Z" };
  return { ...FIELDS, ...place, ...more };
}

test("a digest stays what it is: edges store them, devices and edges of several versions compare them", () => {
  const content = contentOf(FIELDS);
  expect(content).toBe(
    '{"id":"018f3c5e-0000-7000-8000-000000000001","type":"Happened","schemaVersion":1,"data":{"of":[1,"ü€😀"]},"metadata":{"correlationId":"c"},"occurredAt":"2026-01-01T00:00:00.000Z","recordedAt":"2026-01-01T00:00:01.000Z","actor":"ann"',
  );
  expect([eventDigest("A-1", 1, content), eventDigest("A-1", 2, content), eventDigest("A-2", 1, content)]).toEqual([
    "bfbc5ea519acedbd",
    "23eb45293ba0408f",
    "94d1fd587d72aeca",
  ]);
  expect(pageDigest([])).toBe("bef4a00a220e0021");
  expect(pageDigestOf([confirmed(1), confirmed(2)])).toBe("29f93c51e37a1e5c");
});

test("the order of the fields does not matter, nor does the way through JSON", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: "grapheme" }), (data, actor) => {
      const event = { ...FIELDS, data: JSON.parse(JSON.stringify(data)), actor };
      const content = contentOf(event);
      expect(contentOf(JSON.parse(`${content}}`))).toBe(content);
      expect(contentOf(Object.fromEntries(Object.entries(event).reverse()) as unknown as RecordedFields)).toBe(content);
    }),
    { seed: SEED },
  );
});

test("whatever differs, of the content or of its place, another digest", () => {
  const all = new Set<string>();
  const content = contentOf(FIELDS);
  const add = (digest: string) => {
    expect(digest).toMatch(/^[0-9a-f]{16}$/);
    expect(all.has(digest)).toBe(false);
    all.add(digest);
  };
  for (let version = 1; version <= 1000; version++) add(eventDigest("A-1", version, content));
  for (let n = 1; n <= 1000; n++) add(eventDigest(`B-${n}`, 1, content));
  // Each bit of each byte, and each end.
  for (let i = 0; i < content.length; i++) {
    add(eventDigest("A-1", 0, content.slice(0, i)));
    for (let bit = 0; bit < 7; bit++) {
      const flipped = String.fromCharCode(content.charCodeAt(i) ^ (1 << bit));
      add(eventDigest("A-1", 0, content.slice(0, i) + flipped + content.slice(i + 1)));
    }
  }
});

test("a long text after a short one, and a short one after a long one", () => {
  const long = "€".repeat(100_000);
  const short = eventDigest("A-1", 1, "short");
  const first = eventDigest("A-1", 1, long);
  expect(eventDigest("A-1", 1, "short")).toBe(short);
  expect(eventDigest("A-1", 1, long)).toBe(first);
  expect(eventDigest("A-1", 1, `${long}€`)).not.toBe(first);
});

test("a page's digest covers its events, their positions and their order", () => {
  const [a, b] = [confirmed(1), confirmed(2)];
  const pages = [[], [a], [b], [a, b], [b, a], [a, confirmed(2, { actor: null })], [a, confirmed(2, { position: toPosition(3) })]];
  expect(new Set(pages.map(pageDigestOf)).size).toBe(pages.length);
});

test("an event's digest is the same, whether its content stands alone or in a longer text", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom("a", "\n", "é", "😀", '"') }), { minLength: 1 }),
      fc.boolean(),
      (given, isPlain) => {
        const contents = given.map((text) => (isPlain ? text.replaceAll(/[^\n-z]/gu, "z") : text));
        const digests = new EventDigests(contents.join("\n"), "A-1");
        const found: string[] = [];
        let start = 0;
        for (const [i, content] of contents.entries()) {
          found.push(digests.at(start, start + content.length, i + 1));
          start += content.length + 1;
        }
        expect(found).toEqual(contents.map((content, i) => eventDigest("A-1", i + 1, content)));
      },
    ),
    { seed: SEED },
  );
});
