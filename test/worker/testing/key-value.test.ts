/** The key-value store of the stand-in, against a list that is sorted anew for each question. */
import { describe, expect, test } from "vitest";
import { copyOf, serializedSize } from "../../../worker/testing/copy.ts";
import { KeyValue, type ListOptions } from "../../../worker/testing/key-value.ts";
import { Random } from "../../support/random.ts";
import { SEED } from "../../support/seed.ts";

const KEYS = ["a", "a/1", "a/2", "a/22", "a~", "b", "b/1", "c"];

test(`whatever is put, deleted and asked for, a list has it in order (SEED=${SEED})`, () => {
  const source = new Random(SEED);
  const random = () => source.next();
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const store = new KeyValue();
  const model = new Map<string, number>();
  for (let n = 0; n < 3000; n++) {
    const key = pick(KEYS);
    if (random() < 0.5) {
      store.put(key, n);
      model.set(key, n);
    } else {
      expect(store.delete(key)).toBe(model.delete(key));
    }
    const options: ListOptions = {
      ...(random() < 0.3 && { start: pick(KEYS) }),
      ...(random() < 0.2 && { startAfter: pick(KEYS) }),
      ...(random() < 0.3 && { end: pick(KEYS) }),
      ...(random() < 0.3 && { prefix: pick(["a", "a/", "b", "x"]) }),
      ...(random() < 0.3 && { limit: Math.floor(random() * 4) }),
      reverse: random() < 0.5,
    };
    expect([...store.list(options)], JSON.stringify(options)).toEqual(listed(model, options));
  }
});

function listed(model: ReadonlyMap<string, number>, { start, startAfter, end, prefix = "", reverse, limit }: ListOptions): unknown[] {
  const found = [...model]
    .filter(([key]) => (start === undefined || key >= start) && (startAfter === undefined || key > startAfter))
    .filter(([key]) => (end === undefined || key < end) && key.startsWith(prefix))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return (reverse ? found.reverse() : found).slice(0, limit);
}

test("keys may come and go while a list is read", () => {
  const store = new KeyValue(new Map(KEYS.map((key) => [key, key])));
  const seen: string[] = [];
  for (const [key] of store.list({ prefix: "a" })) {
    seen.push(key);
    store.delete(key);
    if (key === "a/1") store.put("a/11", "new");
  }
  expect([seen, [...store.list()].map(([key]) => key)]).toEqual([
    ["a", "a/1", "a/11", "a/2", "a/22", "a~"],
    ["b", "b/1", "c"],
  ]);
  for (const [key] of store.list({ reverse: true })) store.delete(key);
  expect(store.size).toBe(0);
});

describe("values", () => {
  test("are stored as they are at the time, and never change", () => {
    const value = { list: [1] };
    const store = new KeyValue();
    store.put("a", KeyValue.storable("a", value));
    value.list.push(2);
    (store.get("a") as typeof value).list.push(3);
    expect(store.get("a")).toEqual({ list: [1] });
  });

  test("have a limit, and must be what can be cloned", () => {
    expect(() => KeyValue.storable("a", undefined)).toThrow("undefined");
    expect(() => KeyValue.storable("a", () => 1)).toThrow("could not be cloned");
    expect(() => KeyValue.storable("a", new Uint8Array(2 * 1024 * 1024))).toThrow("too large");
    expect(
      KeyValue.storable(
        "a",
        new (class A {
          readonly x = 1;
        })(),
      ),
    ).toEqual({ x: 1 });
    expect(() =>
      copyOf(
        new (class A {
          readonly x = 1;
        })(),
      ),
    ).toThrow("class A");
  });

  test("are measured as V8 serializes them", () => {
    expect([serializedSize("abc"), serializedSize("äöü"), serializedSize("日本"), serializedSize({ a: [1, null] })]).toEqual([7, 7, 8, 16]);
  });
});
