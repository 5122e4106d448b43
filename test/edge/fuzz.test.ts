/**
 * Sends every request that the HTTP interface describes, valid and broken. Set `FUZZ=20000` for more requests than usual. Requests that are
 * not valid HTTP are left out, because the platform rejects them before they reach the edge.
 */
import { readdirSync, readFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import fc from "fast-check";
import { expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { ERROR_CODES } from "../../shared/errors.ts";
import { headwater } from "../cli/run.ts";
import { startEdge } from "../support/edge.ts";
import { SEED } from "../support/seed.ts";
import { type Description, type FuzzRequest, requestsOf } from "./fuzz-requests.ts";

const REQUESTS = Number(process.env["FUZZ"] ?? 1000);
const IN_FLIGHT = 8;
/** Milliseconds within which each request is answered, on a machine that is busy with other tests too. */
const BOUND = 20_000;
/** Of all workerd processes together, in MiB. */
const MEMORY = 1536;
const INTERNALS = /\bat [\w.<>]+ \(|\.[jt]s:\d|SELECT |INSERT |SQLITE|sqlite/;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** What the edge says that it took. */
interface Taken {
  readonly store: string;
  readonly streamId: string;
  readonly firstVersion: number;
  readonly events: readonly { readonly type: string; readonly data: unknown }[];
}

function send(url: string, { method, path, headers, body, chunked }: FuzzRequest): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const length = body === null || chunked ? {} : { "content-length": String(body.length) };
  return new Promise((resolve, reject) => {
    // Not `fetch`, which mends an odd path on the way; and each on a connection of its own: the local runtime takes what is left of a
    // body that was refused unread for the next request.
    const signal = AbortSignal.timeout(BOUND);
    const request = httpRequest({ agent: false, hostname, port, method, path, headers: { ...headers, ...length }, signal });
    request.on("error", reject);
    request.on("response", (response) => textOf(response).then(resolve, reject));
    if (body === null || !chunked) return request.end(body ?? undefined);
    const third = Math.ceil(body.length / 3);
    for (let at = 0; at < body.length; at += third) request.write(body.subarray(at, at + third));
    return request.end();
  });
}

async function textOf(response: IncomingMessage): Promise<Answer> {
  const type = response.headers["content-type"] ?? "";
  let text = "";
  for await (const chunk of response) {
    text += String(chunk);
    // Live, and without an end.
    if (type.startsWith("text/event-stream")) break;
  }
  return { status: response.statusCode ?? 0, type, text };
}

/** @returns what is wrong with the answer, and its code where it is an error */
function check({ method }: FuzzRequest, { status, type, text }: Answer): { code: string; wrong?: string } {
  if (status >= 500) return { code: "", wrong: "a status of a fault" };
  if (INTERNALS.test(text) && status >= 400) return { code: "", wrong: "internals in an error" };
  if (status < 400) return { code: "" };
  if (!type.startsWith("application/problem+json")) return { code: "", wrong: `an error as ${type || "nothing"}` };
  if (method === "HEAD") return { code: "" };
  const { code } = JSON.parse(text);
  return ERROR_CODES.includes(code) ? { code } : { code, wrong: "an unknown code" };
}

/** What the answer says was taken for the first time: as it was asked for, or as the edge has decided it. */
function takenBy({ path, body }: FuzzRequest, { status, text }: Answer): Taken[] {
  const [, store, , one, isCommand] = /^\/v1\/([^/?]+)\/(streams\/([^/?]+)(\/commands)?|commits)/.exec(path) ?? [];
  if (store === undefined || body === null || status >= 300) return [];
  const asked = JSON.parse(new TextDecoder().decode(body));
  const told = JSON.parse(text);
  if (one !== undefined) return status === 201 ? [{ ...told, store, events: isCommand ? told.events : asked.events }] : [];
  const results: (Omit<Taken, "store" | "events"> & { status: string; decided?: Taken["events"] })[] = told.results;
  return results.flatMap((result, i) => {
    const events = result.decided ?? asked.commits[i].events;
    return result.status === "committed" && events.length > 0 ? [{ ...result, store, events }] : [];
  });
}

/** What the processes that this one has started hold of the machine, in MiB. */
function memoryOfWorkerd(): number {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        const of = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(status)?.[1] ?? "";
        return [{ pid, parent: of("PPid"), name: of("Name"), size: Number(of("VmRSS")) / 1024 }];
      } catch {
        return []; // it has ended meanwhile
      }
    });
  const ours = new Set([String(process.pid)]);
  for (let before = 0; before < ours.size; ) {
    before = ours.size;
    for (const { pid, parent } of processes) if (ours.has(parent)) ours.add(pid);
  }
  return processes.filter(({ pid, name }) => ours.has(pid) && name === "workerd").reduce((sum, { size }) => sum + size, 0);
}

test("whatever it is sent, the edge answers in time, says what is wrong and nothing else, and holds what it said it took, once and whole", {
  timeout: 120_000 + REQUESTS * 60,
}, async () => {
  // Bare workerd ends the connection of a body that is refused unread, in the middle of it. `wrangler dev` reads it to its end, as Cloudflare does.
  const edge = await startEdge({ AUTH: "open" }, "test/edge/noting/wrangler.toml");
  try {
    const description: Description = await (await fetch(`${edge.url}/openapi.json`)).json();
    const arbitrary = requestsOf(description);
    const before = memoryOfWorkerd();
    const counts = new Map<string, number>();
    const taken: Taken[] = [];
    const wrong: string[] = [];
    const operations = new Set<string>();
    const one = async (request: FuzzRequest) => {
      const shown = `${request.method} ${request.path} ${JSON.stringify(request.headers)} ${new TextDecoder().decode(request.body ?? undefined)}`;
      try {
        const answer = await send(edge.url, request);
        const { code, wrong: found } = check(request, answer);
        const counted = `${answer.status} ${code}`.trim();
        counts.set(counted, (counts.get(counted) ?? 0) + 1);
        if (answer.status < 300) operations.add(request.operation);
        if (found !== undefined) wrong.push(`${found}: ${shown.slice(0, 500)}\n  ${answer.status} ${answer.text.slice(0, 300)}`);
        else taken.push(...takenBy(request, answer));
      } catch (error) {
        wrong.push(`${error}: ${shown.slice(0, 500)}`);
      }
    };
    // Made in parts, so that they need not all be held at once.
    for (let made = 0; made < REQUESTS; made += 250) {
      const requests = fc.sample(arbitrary, { seed: SEED + made, numRuns: Math.min(250, REQUESTS - made) }).values();
      const sender = async () => {
        for (const request of requests) await one(request);
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, sender));
    }
    const after = memoryOfWorkerd();
    const byCount = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${count} × ${name}`);
    console.log(`${REQUESTS} requests, SEED=${SEED}: ${byCount.join(", ")}`);
    console.log(`${taken.length} commits taken; workerd held ${before.toFixed()} MiB before and ${after.toFixed()} MiB after`);
    expect(wrong).toEqual([]);
    // Each operation was reached, and not only refused.
    for (const [path, { parameters: _, ...methods }] of Object.entries(description.paths)) {
      // The steps of a restore need one that is under way: test/worker/log/restore.test.ts.
      if (path.includes("/restore/")) continue;
      for (const method of Object.keys(methods)) expect(operations).toContain(`${method.toUpperCase()} ${path}`);
    }
    expect(before).toBeGreaterThan(0);
    expect(after).toBeLessThan(MEMORY);
    await expectWhole(edge.url, taken);
  } finally {
    await edge.stop();
  }
});

/** The streams hold what was taken, each event once, and nothing else; and the feed agrees. */
async function expectWhole(url: string, taken: readonly Taken[]): Promise<void> {
  const text = ({ type, data }: { type: string; data: unknown }) => JSON.stringify([type, data]);
  for (const [store, commits] of Map.groupBy(taken, (commit) => commit.store)) {
    const edge = connectStore({ url: `${url}/v1/${store}` });
    const expected = Map.groupBy(commits, (commit) => commit.streamId);
    for (const [streamId, own] of expected) {
      const { events, version } = await edge.readStream(streamId);
      const inOrder = own.toSorted((a, b) => a.firstVersion - b.firstVersion);
      let next = 1;
      for (const commit of inOrder) {
        expect(commit.firstVersion, `${store}/${streamId}`).toBe(next);
        next += commit.events.length;
      }
      expect(version, `${store}/${streamId}`).toBe(next - 1);
      expect(events.map(text)).toEqual(inOrder.flatMap((commit) => commit.events.map(text)));
    }
    const count = commits.reduce((sum, { events }) => sum + events.length, 0);
    await expect.poll(async () => (await edge.health()).events, { timeout: BOUND }).toBe(count);
    const verified = await headwater(["verify", "--url", `${url}/v1/${store}`]);
    expect(verified.stdout + verified.stderr).toContain(`clean: ${count} events in ${expected.size} streams`);
  }
}
