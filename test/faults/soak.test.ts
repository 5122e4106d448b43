/** Many readers and writers with feed sockets for a while, at an edge that is killed now and then. */
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { toBearerProtocol } from "../../shared/wire/feed-socket.ts";
import type { FeedPage } from "../../shared/wire/wire.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { Random } from "../support/random.ts";
import { SEED } from "../support/seed.ts";
import { SECRET, signToken } from "../support/tokens.ts";

const READERS = 200;
const WRITERS = 50;
const STREAMS = 40;
/** Milliseconds: of the whole, between kills, and of a writer's pause on average. */
const SECONDS = Number(process.env["SOAK"] ?? 30);
const KILL_EVERY = 15_000;
const PAUSE = 2_000;

/** An actor may have 100 feed sockets. */
const ACTORS = ["ann", "bob", "eve", "dan"];

let edge: EdgeProcess;
let tokens: string[];
beforeAll(async () => {
  tokens = await Promise.all(ACTORS.map((sub) => signToken({ sub, seconds: SECONDS + 600 })));
  edge = await startEdge({ AUTH: "jwt", JWT_SECRET: SECRET });
});
afterAll(() => edge?.stop());

/** Follows the feed on sockets, one after the other, and checks that nothing is left out, told twice or out of order. */
class Reader {
  position = 0;
  connections = 0;
  broken: string | undefined;
  readonly #url: string;
  readonly #protocols: string[];
  readonly #random: Random;
  #socket: WebSocket | undefined;
  #isOver = false;

  constructor(url: string, token: string, seed: number) {
    this.#url = `${url.replace("http", "ws")}/feed`;
    this.#protocols = ["headwater.v1", toBearerProtocol(token)];
    this.#random = new Random(seed);
    this.#connect();
  }

  end(): void {
    this.#isOver = true;
    this.#socket?.close();
  }

  #connect(): void {
    const socket = new WebSocket(this.#url, this.#protocols);
    this.#socket = socket;
    const pull = () => socket.send(JSON.stringify({ pull: { after: this.position } }));
    socket.addEventListener("open", () => {
      this.connections++;
      pull();
    });
    socket.addEventListener("message", ({ data }) => {
      this.#take(JSON.parse(data));
      pull();
    });
    socket.addEventListener("close", () => {
      if (!this.#isOver) setTimeout(() => this.#connect(), this.#random.between(100, 1_000));
    });
  }

  #take(page: FeedPage): void {
    if (page.events === undefined) this.broken ??= JSON.stringify(page);
    for (const { position } of page.events ?? []) {
      if (position !== this.position + 1) this.broken ??= `#${position} after #${this.position}`;
      this.position = position;
    }
  }
}

/** Resident memory of the edge's workerd processes, in MiB. */
async function memory(): Promise<number> {
  const group = edge.group();
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const sizes = await Promise.all(
    pids.map(async (pid) => {
      const [stat, status] = await Promise.all(
        ["stat", "status"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")), // it has ended meanwhile
      );
      // After the name, in parentheses: the state, the parent and the group.
      const [, name, of] = /^\d+ \((.*)\) \S \d+ (\d+)/.exec(stat ?? "") ?? [];
      return name === "workerd" && Number(of) === group ? Number(/VmRSS:\s+(\d+)/.exec(status ?? "")?.[1] ?? 0) / 1024 : 0;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

test("soak: two hundred live readers are told everything, whatever the edge goes through, and its memory stays", {
  timeout: SECONDS * 1000 + 180_000,
}, async () => {
  const url = `${edge.url}/v1/soak`;
  const tokenOf = (i: number) => tokens[i % tokens.length] ?? "";
  const readers = Array.from({ length: READERS }, (_, i) => new Reader(url, tokenOf(i), SEED + i));
  let isWriting = true;
  let appended = 0;
  const write = async (i: number) => {
    const random = new Random(SEED + 1_000 + i);
    // A writer goes on until it is answered: sent again, it is the same commit.
    const store = connectStore({ url, token: () => tokenOf(i), retries: 100 });
    while (isWriting) {
      await store.appendToStream(`Soak-${random.between(1, STREAMS)}`, [{ type: "Written", data: { writer: i } }]);
      appended++;
      await new Promise((resolve) => setTimeout(resolve, random.between(0, 2 * PAUSE)));
    }
  };
  const writing = Promise.all(Array.from({ length: WRITERS }, (_, i) => write(i)));
  const peaks: number[] = [];
  const end = Date.now() + SECONDS * 1000;
  while (Date.now() < end) {
    const next = Math.min(end, Date.now() + KILL_EVERY);
    let peak = 0;
    await expect
      .poll(
        async () => {
          peak = Math.max(peak, await memory());
          return Date.now();
        },
        { timeout: 2 * KILL_EVERY, interval: 500 },
      )
      .toBeGreaterThan(next);
    peaks.push(Math.round(peak));
    await edge.kill();
    await edge.start();
  }
  isWriting = false;
  await writing;

  const store = connectStore({ url, token: () => tokenOf(0) });
  await expect.poll(async () => readers.filter(({ position }) => position < appended).length, { timeout: 60_000, interval: 200 }).toBe(0);
  const { head, streams } = await store.health();
  expect(readers.map(({ broken }) => broken).filter((text) => text !== undefined)).toEqual([]);
  expect(new Set(readers.map(({ position }) => position))).toEqual(new Set([head]));
  expect(head).toBe(appended);
  for (const reader of readers) reader.end();
  const { stdout } = await promisify(execFile)(process.execPath, ["cli/main.ts", "verify", "--url", url], {
    env: { ...process.env, HEADWATER_TOKEN: tokenOf(0) },
  });
  expect(stdout).toContain(`${head}`);
  const connections = readers.reduce((sum, reader) => sum + reader.connections, 0);
  console.log(
    `SEED=${SEED}: ${SECONDS} s, ${peaks.length} kills, ${appended} events of ${WRITERS} writers to ${streams} streams, ${READERS} readers on ` +
      `${connections} connections; workerd's memory at its peak before each kill: ${peaks.join(", ")} MiB`,
  );
  // A process that lives as long as the ones before it takes about as much.
  expect(Math.max(...peaks)).toBeLessThan(2 * Math.min(...peaks));
});
