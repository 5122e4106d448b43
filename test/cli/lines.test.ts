import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { openLines } from "../../cli/lines.ts";
import { DEFAULT_LIMITS } from "../../shared/limits.ts";

async function open(content: string | Uint8Array) {
  const folder = await mkdtemp(join(tmpdir(), "headwater-lines-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "file");
  await writeFile(path, content);
  const source = openLines({ path, name: "file", size: content.length });
  const read = async () => {
    const lines: string[] = [];
    for await (const { number, text } of source.lines) lines.push(`${number} ${text}`);
    return lines;
  };
  return { ...source, read };
}

test("lines are numbered, blank ones too; a byte order mark and gzip are understood", async () => {
  expect(await (await open("\ufeffa\n\nb\r\nc")).read()).toEqual(["1 a", "2 ", "3 b\r", "4 c"]);
  expect(await (await open(gzipSync("ä\nö\n"))).read()).toEqual(["1 ä", "2 ö"]);
  expect(await (await open("")).read()).toEqual([]);
});

test("a line of many chunks is whole, also where a character is cut by the end of a chunk", async () => {
  const line = "äöü€💧".repeat(50_000);
  expect(await (await open(`a\n${line}\nb`)).read()).toEqual(["1 a", `2 ${line}`, "3 b"]);
});

test("a line of 40 MB is refused by the limit of an event as soon as it is longer than a request", async () => {
  const { read, bytesRead } = await open(Buffer.concat([Buffer.from("a\n\n"), Buffer.alloc(40 * 1024 * 1024, "x")]));
  await expect(read()).rejects.toThrow(
    "line 3: An event's data and metadata can have at most 65536 bytes together, but the line has more than 4194304.",
  );
  expect(bytesRead()).toBeLessThan(DEFAULT_LIMITS.bodyBytes + 64 * 1024);
});

test("what is not UTF-8 is named by line and column", async () => {
  await expect((await open(new Uint8Array([0x61, 0x0a, 0xc3, 0xa4, 0x62, 0xff, 0x63]))).read()).rejects.toThrow(
    "line 2 can't be read: it is not valid UTF-8 at column 3. Save the file as UTF-8.",
  );
});
