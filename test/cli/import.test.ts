/** `headwater import` against a real edge, in the test's own process. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { exportStore } from "../../cli/export.ts";
import { type ImportChoice, importFile } from "../../cli/import.ts";
import { readCorrelation } from "../../client/correlation.ts";
import { type ConfirmedEvent, connectStore, type EdgeStore } from "../../client/http.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { headwater } from "./run.ts";

let edge: EdgeProcess;
let folder: string;

beforeAll(async () => {
  edge = await startEdge();
  folder = await mkdtemp(join(tmpdir(), "headwater-import-"));
});

afterAll(async () => {
  await edge.stop();
  await rm(folder, { recursive: true });
});

interface Imported {
  readonly store: EdgeStore;
  readonly url: string;
  /** Imports a file of these lines. */
  import(lines: readonly string[], choice?: ImportChoice): Promise<string>;
  /** `A-1@1 data` for each event, by position. */
  events(): Promise<string[]>;
}

function open(): Imported {
  const progress = vi.spyOn(console, "error").mockReturnValue();
  onTestFinished(() => progress.mockRestore());
  const url = `${edge.url}/v1/${crypto.randomUUID()}`;
  const store = connectStore({ url });
  return {
    store,
    url,
    import: async (lines, choice) => {
      const path = join(folder, crypto.randomUUID());
      await writeFile(path, `${lines.join("\n")}\n`);
      return importFile(store, path, choice);
    },
    events: async () => {
      const found: string[] = [];
      for await (const { streamId, version, data } of store.readAll()) found.push(`${streamId}@${version} ${JSON.stringify(data)}`);
      return found;
    },
  };
}

/** Lines of two streams in turn, as another system writes them. */
const linesOf = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => {
    const data = from + i;
    return JSON.stringify({ stream: `A-${data % 2}`, type: "Counted", time: new Date(data * 1000).toISOString(), actor: "ann", data });
  });
const stored = (count: number): string[] => Array.from({ length: count }, (_, i) => `A-${(i + 1) % 2}@${Math.floor(i / 2) + 1} ${i + 1}`);

const good = '{"stream":"A-1","type":"A","data":1}';

test.each([
  ["a time that is none", '"time":"Permit 7"', 'line 1002 has an invalid time, "Permit 7", at column 28'],
  ["a time without a zone", '"time":"2026-01-05 10:00"', 'line 1002 has an invalid time, "2026-01-05 10:00", at column 28'],
  [
    "a time that does not exist",
    '"occurredAt":"2026-02-30T10:00:00Z"',
    'line 1002 has an invalid time, "2026-02-30T10:00:00Z", at column 28',
  ],
  ["an unknown name", '"payload":1', 'line 1002 has an unknown name, "payload", at column 28: rename it to "data".'],
  ["metadata that is text", '"metadata":"m"', 'line 1002 has "metadata" that is text at column 28'],
  ["a number that would change", '"data":{"x":9007199254740993}', "line 1002 has a number that would change at column 40: data.x is"],
  ["broken JSON", '"data":', "line 1002 is not valid JSON at column 35"],
  ["an id that is none", '"id":"7"', "line 1002: An event id must be a UUID."],
  [
    "an event that is too large",
    `"data":"${"x".repeat(3_000_000)}"`,
    "line 1002: An event's data and metadata can have at most 65536 bytes together",
  ],
  [
    "a line of 40 MB",
    `"data":"${"x".repeat(40_000_000)}"`,
    "line 1002: An event's data and metadata can have at most 65536 bytes together",
  ],
])("%s ends the import before anything is written", async (_, part, message) => {
  const { import: importLines, events } = open();
  const lines = [...Array.from({ length: 1000 }, () => good), "", `{"stream":"A-1","type":"A",${part}}`];
  await expect(importLines(lines)).rejects.toThrow(message);
  expect(await events()).toEqual([]);
});

test("a time with an offset is stored in UTC, and minus zero as 0", async () => {
  const { store, import: importLines } = open();
  await importLines(['{"stream":"A-1","type":"A","time":"2026-01-05T10:00:00.25+05:30","data":{"x":-0.0}}']);
  expect((await store.readStream("A-1")).events).toMatchObject([{ occurredAt: "2026-01-05T04:30:00.250Z", data: { x: 0 } }]);
});

test("a file that has grown: what is there counts as there, the rest is appended", async () => {
  const { import: importLines, events } = open();
  expect(await importLines(linesOf(1, 5))).toBe("5 events appended, 0 already stored.");
  expect(await importLines(linesOf(1, 9))).toBe("4 events appended, 5 already stored.");
  expect(await importLines(linesOf(1, 9))).toBe("0 events appended, 9 already stored.");
  expect((await events()).toSorted()).toEqual(stored(9).toSorted());
});

test("a file in parts, which overlap, and each part again", async () => {
  const { import: importLines, events } = open();
  for (const [from, to, report] of [
    [1, 4, "4 events appended, 0 already stored."],
    [5, 8, "4 events appended, 0 already stored."],
    [5, 8, "0 events appended, 4 already stored."],
    [3, 11, "3 events appended, 6 already stored."],
    [1, 11, "0 events appended, 11 already stored."],
  ] as const) {
    expect(await importLines(linesOf(from, to))).toBe(report);
  }
  expect((await events()).toSorted()).toEqual(stored(11).toSorted());
});

test("an export that was cut, and what tail wrote, go on where the copy ends", async () => {
  const source = open();
  await source.import(linesOf(1, 12));
  const path = join(folder, crypto.randomUUID());
  await exportStore(source.store, path);
  const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
  const copy = open();
  expect(await copy.import(lines.slice(0, 5))).toBe("5 events appended, 0 already stored.");
  expect(await copy.import(lines.slice(5, 9))).toBe("4 events appended, 0 already stored.");
  expect(await copy.import(lines.slice(5, 9))).toBe("0 events appended, 4 already stored.");
  const tailed: string[] = [];
  for await (const event of source.store.tail({ after: 7 })) {
    tailed.push(JSON.stringify(event));
    if (tailed.length === 5) break;
  }
  expect(await copy.import(tailed)).toBe("3 events appended, 2 already stored.");
  const content = ({ position: _, recordedAt: __, ...event }: ConfirmedEvent) => event;
  for (const streamId of ["A-0", "A-1"]) {
    const [there, here] = await Promise.all([source, copy].map(({ store }) => store.readStream(streamId)));
    expect(here?.events.map((event) => content(event as ConfirmedEvent))).toEqual(
      there?.events.map((event) => content(event as ConfirmedEvent)),
    );
  }
  expect(await source.import(tailed)).toBe("0 events appended, 5 already stored.");

  const reversed = open();
  expect(await reversed.import(lines.filter((line) => JSON.parse(line).version > 3))).toBe(
    "6 events appended, 0 already stored.\n6 have another version than in the file, because the file lacks events before them.",
  );
  await expect(reversed.import(lines)).rejects.toThrow(/line 1 contradicts the store: A-[01] is at version 3 there/);
});

test("a dry run reports what an import would do, and writes nothing", async () => {
  const { import: importLines, events } = open();
  await importLines(linesOf(1, 4));
  const report = "3 events would be appended to 2 streams, 4 are already stored. Nothing was written.";
  expect(await importLines(linesOf(1, 7), { dryRun: true })).toBe(report);
  expect(await events()).toHaveLength(4);
  await expect(importLines(["{"], { dryRun: true })).rejects.toThrow("line 1 is not valid JSON at column 2: the line ends too early.");
  expect(await importLines(linesOf(1, 7))).toBe("3 events appended, 4 already stored.");
});

test("a token that may only append imports a file once; nothing is compared, and the report says so", async () => {
  const { url, import: importLines } = open();
  const writer = connectStore({
    url,
    fetch: async (input, init) =>
      init?.method === "POST" ? fetch(input, init) : Response.json({ code: "forbidden", status: 403 }, { status: 403 }),
  });
  const path = join(folder, crypto.randomUUID());
  await writeFile(path, linesOf(1, 3).join("\n"));
  const note = "\n2 streams were not compared with the store: the token can't read them.";
  expect(await importFile(writer, path)).toBe(`3 events appended, 0 already stored.${note}`);
  expect(await importFile(writer, path)).toBe(`0 events appended, 3 already stored.${note}`);
  await importLines(linesOf(1, 4));
  await writeFile(path, [...linesOf(1, 3), '{"stream":"A-1","type":"Other","data":1}'].join("\n"));
  await expect(importFile(writer, path)).rejects.toThrow("The token can't read the stream, so it was not compared with the file");
});

test("standard input is checked as a whole too, and the command has the dry run", async () => {
  const { url, events } = open();
  const input = `${linesOf(1, 3).join("\n")}\n`;
  expect(await headwater(["import", "-", "--dry-run", "--url", url], input)).toMatchObject({
    exitCode: 0,
    stdout: "3 events would be appended to 2 streams, 0 are already stored. Nothing was written.\n",
  });
  const broken = await headwater(["import", "-", "--url", url], `${input}{"stream":7}`);
  expect([broken.exitCode, broken.stderr]).toEqual([1, expect.stringContaining("headwater: line 4 has no stream")]);
  expect(await events()).toEqual([]);
});

test("ids in upper case are stored in lower case, with what refers to them", async () => {
  const { store, import: importLines } = open();
  const id = crypto.randomUUID();
  const lines = [
    { stream: "A-1", type: "Cause", data: 1, id: id.toUpperCase() },
    { stream: "A-2", type: "Caused", data: 2, metadata: { causationId: id.toUpperCase(), correlationId: id } },
  ].map((line) => JSON.stringify(line));
  await importLines(lines);
  expect(await importLines(lines)).toBe("0 events appended, 2 already stored.");
  const trees = await readCorrelation(store, id.toUpperCase());
  expect(trees).toMatchObject([{ event: { id, type: "Cause" }, caused: [{ event: { type: "Caused" } }] }]);
});
