import fc from "fast-check";
import { expect, test } from "vitest";
import { brokenAt, lostNumber, namesOf, pathText } from "../../shared/json-text.ts";
import { SEED } from "../support/seed.ts";

const lost = (text: string) => {
  const found = lostNumber(text);
  return found && `${pathText(found.path, "whole")} at ${found.at}: ${found.text}`;
};

test.each([
  ["9007199254740993", "whole at 0: 9007199254740993"],
  ['{"a":[1,{"b c":12345678901234567890}]}', "a[1].b c at 15: 12345678901234567890"],
  ['{"a": -9007199254740993 }', "a at 6: -9007199254740993"],
  ["[[1],[2,\n18446744073709551616]]", "[1][1] at 9: 18446744073709551616"],
  ["[9007199254740993.0]", "[0] at 1: 9007199254740993.0"],
  ["[900719925474099.3e1]", "[0] at 1: 900719925474099.3e1"],
  ["[3.14159265358979323846]", "[0] at 1: 3.14159265358979323846"],
  ["[1e400]", "[0] at 1: 1e400"],
  ["[-1E+400]", "[0] at 1: -1E+400"],
  ["[1e-400]", "[0] at 1: 1e-400"],
  [`[1${"0".repeat(400)}]`, `[0] at 1: 1${"0".repeat(400)}`],
])("a number that changes is found with its place: %s", (text, place) => {
  expect(lost(text)).toBe(place);
});

test.each([
  '{"a":9007199254740992,"b":9007199254740994,"c":100000000000000000000,"d":1e21,"e":1E+300}',
  "[0.1,0.30000000000000004,-122.41941550000001,0.10000000000000001,1.50,5e-324,1.7976931348623157e308]",
  "[-0,-0.0,0e999,0.00000000000000000000,1.0000000000000000]",
  '["9007199254740993",": 9007199254740993","\\",9007199254740993"]',
  '{"9007199254740993":1}',
])("a number that stays is left alone: %s", (text) => {
  expect(lost(text)).toBeUndefined();
});

test("no number that JSON.stringify writes is lost", () => {
  const number = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(fc.array(number), (numbers) => {
      expect(lost(JSON.stringify(numbers))).toBeUndefined();
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

test.each([
  ["", 0],
  ["{", 1],
  ['{"a":}', 5],
  ['{"a":1,}', 7],
  ['{"a" 1}', 5],
  ["{a:1}", 1],
  ["[1,]", 3],
  ["[1 2]", 3],
  ["[1]]", 3],
  ["[1}", 2],
  ['{"a":01}', 6],
  ["[NaN]", 1],
  ["[1.]", 2],
  ['["a\nb"]', 3],
  ['["a\\x"]', 3],
  ['["abc', 5],
  ['{"a":1', 6],
  ["abc", 0],
  ["{} {}", 3],
])("%j is broken at %i", (text, at) => {
  expect(() => JSON.parse(text)).toThrow();
  expect(brokenAt(text)).toBe(at);
});

test("a text is broken exactly if JSON.parse says so", () => {
  const valid = fc.json({ noUnicodeString: false });
  const broken = fc
    .tuple(valid, fc.nat(), fc.constantFrom(...'{}[],:"\\ 0-.eE+tn\u0000'))
    .map(([text, at, character]) => text.slice(0, at % (text.length + 1)) + character + text.slice(at % (text.length + 1)));
  fc.assert(
    fc.property(fc.oneof(valid, broken), (text) => {
      let isValid = true;
      try {
        JSON.parse(text);
      } catch {
        isValid = false;
      }
      expect(brokenAt(text) === undefined).toBe(isValid);
    }),
    { seed: SEED, numRuns: 5000 },
  );
});

test("names are an object's own, each as often as it is there", () => {
  expect(namesOf('{"a":{"b":1}, "\\u0063":[{"d":1}],"a":2}')).toEqual([
    { name: "a", at: 1 },
    { name: "c", at: 14 },
    { name: "a", at: 33 },
  ]);
});

test("a text of any depth, and a number of any length, are walked through", () => {
  const depth = 200_000;
  expect(lost(`${"[".repeat(depth)}9007199254740993${"]".repeat(depth)}`)).toBe(`${"[0]".repeat(100)}… at ${depth}: 9007199254740993`);
  const length = 1_000_000;
  expect(lost(`[0.${"0".repeat(length)}1]`)).toContain("at 1: 0.000");
  expect(lost(`["${"\\n".repeat(length)}",${"1".repeat(20)}]`)).toBe(`[1] at ${2 * length + 4}: ${"1".repeat(20)}`);
});
