/** Waits: every one that is computed is bounded before it reaches a timer. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { boundedWait, LONGEST_TIMER, parseRetryAfter, retryWait, timeLimit } from "../../shared/wait.ts";
import { SEED } from "../support/seed.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NOW = Date.parse("2026-01-31T09:30:00Z");

test("a wait is one that a timer can have, whatever number it comes from", () => {
  const any = fc.double();
  fc.assert(
    fc.property(any, (milliseconds) => {
      const wait = boundedWait(milliseconds);
      expect(wait >= 0 && wait <= 2 ** 31 - 1).toBe(true);
      if (milliseconds >= 0 && milliseconds <= LONGEST_TIMER) expect(wait).toBe(milliseconds + 0);
    }),
    { seed: SEED },
  );
  expect([boundedWait(2 ** 31), boundedWait(Number.NaN), boundedWait(-1), boundedWait(7, 5)]).toEqual([2 ** 31 - 1, 0, 0, 5]);
});

test.each<[string | null, number | undefined]>([
  ["7", 7],
  ["0.5", 0.5],
  ["31536000", 31_536_000],
  ["Sat, 31 Jan 2026 09:32:00 GMT", 120],
  ["Sat, 31 Jan 2026 09:00:00 GMT", undefined],
  ["-3", undefined],
  ["0", undefined],
  ["", undefined],
  ["soon", undefined],
  [null, undefined],
])("Retry-After: %s", (text, seconds) => {
  expect(parseRetryAfter(text, NOW)).toBe(seconds);
});

test("a Retry-After is followed for five minutes at most", () => {
  expect([7, 31_536_000, 1e308, Number.POSITIVE_INFINITY, -1, undefined].map(retryWait)).toEqual([7_000, 300_000, 300_000, 300_000, 0, 0]);
});

test("a timeout of 0 or Infinity is none", () => {
  expect([0, Number.POSITIVE_INFINITY, 1, 30_000, LONGEST_TIMER].map(timeLimit)).toEqual([undefined, undefined, 1, 30_000, LONGEST_TIMER]);
});

/** The waits of timers that are neither a constant nor bounded. `backoff` bounds what it returns. */
function unboundedTimers(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) =>
    [...text.matchAll(/\b(?:setTimeout|setInterval|AbortSignal\.timeout)\(/g)].flatMap(({ index, 0: call }) => {
      const given = argumentsOf(text, index + call.length).at(-1) ?? "";
      const isBounded = /^(?:[A-Z][A-Z_]*|0|(?:boundedWait|backoff)\(.*\))$/s.test(given) || /^(?:run|resolve)$/.test(given);
      return isBounded || EXPLAINED[path] === given ? [] : [`${path}: ${given}`];
    }),
  );
}

/** Waits that are checked elsewhere, each with where. */
const EXPLAINED: Readonly<Record<string, string>> = {
  // `SUBSCRIPTION_OPTIONS`: up to ten minutes.
  "worker/subscription/subscription-object.ts": "timeout",
  // Called with constants of `stream-object.ts`.
  "worker/stream/publisher.ts": "milliseconds",
};

/** The arguments of a call, from behind its bracket. */
function argumentsOf(text: string, from: number): string[] {
  const found: string[] = [];
  let depth = 0;
  let begin = from;
  for (let at = from; at < text.length; at++) {
    const character = text.charAt(at);
    if (depth === 0 && (character === "," || character === ")")) {
      found.push(text.slice(begin, at).trim());
      begin = at + 1;
      if (character === ")") return found.filter((argument) => argument !== "");
    }
    if ("([{".includes(character)) depth++;
    if (")]}".includes(character)) depth--;
  }
  return found;
}

test("every timer has a constant or a bounded wait", () => {
  const paths = ["client", "worker", "shared", "cli"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)),
  );
  const files = paths.filter((path) => path.endsWith(".ts") && !path.startsWith("worker/testing/"));
  expect(unboundedTimers(new Map(files.map((path) => [path, readFileSync(join(ROOT, path), "utf8")])))).toEqual([]);
  const bad = "setTimeout(() => f(a, b), wait * 12); setInterval(g, EVERY); AbortSignal.timeout(given); setTimeout(h, boundedWait(x * 2));";
  expect(unboundedTimers(new Map([["x.ts", bad]]))).toEqual(["x.ts: wait * 12", "x.ts: given"]);
});
