/**
 * A page of the documents as files. Each block of code is one file, named by its first line (`// stock.ts`) or by its language and place.
 * The files are in a folder within the package, so that `headwater` resolves to the build. A block of text below a block of code has its
 * expected output.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Where the pages say that an edge is. */
const EDGE = "http://127.0.0.1:8787/v1/";
/** What is no code: a drawing, which has no language, and what is printed. */
const SHOWN: readonly string[] = ["", "text"];
const BLOCK = /^ *```(\S*).*\n([\s\S]*?)^ *```/gm;
const OPTIONS =
  "--ignoreConfig --strict --noEmit --skipLibCheck --allowImportingTsExtensions --module esnext --moduleResolution bundler --target es2022";

export interface Block {
  /** A file's, e.g. `stock.ts`, or, of one that says none, `ts-1.ts`. */
  readonly name: string;
  readonly language: string;
  readonly code: string;
  /** What it is to print. */
  readonly output: string;
}

/** The pages for users, by their paths. */
export function pagePaths(): string[] {
  const docs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" });
  return ["README.md", ...docs.flatMap((path) => (path.endsWith(".md") ? [`docs/${path}`] : []))].sort();
}

/** A page's blocks of code, in their order. */
export function blocksOf(path: string): Block[] {
  const blocks: Block[] = [];
  const seen = new Map<string, number>();
  for (const [, language = "", code = ""] of readFileSync(join(ROOT, path), "utf8").matchAll(BLOCK)) {
    const last = blocks.at(-1);
    if (language === "text" && last?.output === "") blocks.splice(-1, 1, { ...last, output: code });
    if (SHOWN.includes(language)) continue;
    const place = (seen.get(language) ?? 0) + 1;
    seen.set(language, place);
    const name = /^\/\/ ([\w-]+\.tsx?)\n/.exec(code)?.[1] ?? `${language}-${place}.${language}`;
    blocks.push({ name, language, code, output: "" });
  }
  return blocks;
}

/** The rows of a text's tables, without their heads, as cells. */
export function rowsOf(text: string): string[][] {
  const rows = text.split("\n").filter((line) => line.startsWith("|"));
  const cells = rows.map((row) => row.split("|").map((cell) => cell.trim())).map((row) => row.slice(1, -1));
  const isRule = (row: readonly string[] | undefined) => row?.every((cell) => /^-+$/.test(cell)) ?? false;
  return cells.filter((row, i) => !isRule(row) && !isRule(cells[i + 1]));
}

export class Page {
  /** From the root of the project. */
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * @param edge the URL of one for the page's code, whose stores are the page's own
   * @param test who asks, where several tests work on one page
   */
  static async write(path: string, edge: string, test = "page"): Promise<Page> {
    const name = path.toLowerCase().replaceAll(/\W+/g, "-");
    const folder = `test-results/${test}-${name}`;
    await mkdir(join(ROOT, folder), { recursive: true });
    for (const block of blocksOf(path)) {
      if (block.language !== "ts") continue;
      const code = block.code.replaceAll(EDGE, `${edge}/v1/${name}-`).replaceAll('from "../', 'from "../../');
      await writeFile(join(ROOT, folder, block.name), code);
    }
    return new Page(folder);
  }

  /** Fails with what the compiler says. */
  async check(block: Block): Promise<void> {
    const [lib, types] = isWorker(block)
      ? ["es2024,esnext.disposable", "@cloudflare/workers-types"]
      : ["es2024,esnext.collection,dom,dom.iterable,dom.asynciterable", "node"];
    const tsc = ["node_modules/typescript/bin/tsc", ...OPTIONS.split(" "), "--lib", lib, "--types", types, join(this.folder, block.name)];
    await run(process.execPath, tsc, { cwd: ROOT }).catch((error: { readonly stdout?: string }) => {
      throw new Error(error.stdout || String(error));
    });
  }

  /** What it prints, in a process of its own; with an IndexedDB, where it opens a browser's store. */
  async outputOf({ name, code }: Block, settings: Readonly<Record<string, string>> = {}): Promise<string> {
    const browser = code.includes("openStore(") ? ["--import", "fake-indexeddb/auto"] : [];
    const options = { cwd: ROOT, env: { ...process.env, ...settings }, timeout: 50_000 };
    return (await run(process.execPath, [...browser, join(this.folder, name)], options)).stdout;
  }

  async remove(): Promise<void> {
    await rm(join(ROOT, this.folder), { recursive: true, force: true });
  }
}

/** Whether it is an edge's, and not to be run by itself. A test of an app runs its edge in memory. */
export function isWorker({ code }: Pick<Block, "code">): boolean {
  return code.includes('from "headwater/edge"') && !code.includes("openMemoryEdge(");
}
