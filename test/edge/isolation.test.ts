/** Permits and tickets share a store. A caller that may read only the permits learns nothing of the tickets, by any request. */
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseLine } from "../../cli/event-line.ts";
import { connectStore, type EdgeStore } from "../../client/http.ts";
import type { FeedPage, StreamList } from "../../shared/wire/wire.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { SECRET, signToken } from "../support/tokens.ts";

/** Of each file, its first lines; they take turns. */
const LINES = 800;
/** Of a push. */
const STREAMS = 10;

let edge: EdgeProcess;
let url: string;
let reader: string;
let writer: EdgeStore;
/** Ids of the tickets' events, as the edge has them. */
let secrets: { readonly ids: readonly string[]; readonly streams: readonly string[]; readonly types: readonly string[] };
let permits = 0;

async function linesOf(name: string) {
  const text = (await promisify(gunzip)(await readFile(new URL(`../data/${name}.ndjson.gz`, import.meta.url)))).toString();
  return text.split("\n", LINES).map((line, i) => parseLine(line, i + 1));
}

beforeAll(async () => {
  edge = await startEdge({ JWT_SECRET: SECRET });
  url = `${edge.url}/v1/shared`;
  reader = await signToken({ sub: "reader", store: "shared", streams: ["Permit-*"], can: ["read"] });
  const all = await signToken({ sub: "reader", store: "shared" });
  writer = connectStore({ url, token: () => all });
  const [ours, theirs] = await Promise.all([linesOf("permits"), linesOf("tickets")]);
  const lines = ours.flatMap((line, i) => [line, ...theirs.slice(i, i + 1)]);
  const commits = lines.map(({ streamId, event }) => writer.prepare(streamId, [event]));
  for (let rest = commits; rest.length > 0; ) {
    const streams = new Set<string>();
    const end = rest.findIndex(({ streamId }) => streams.add(streamId).size > STREAMS);
    await writer.push(end < 0 ? rest : rest.slice(0, end));
    rest = end < 0 ? [] : rest.slice(end);
  }
  const tickets = commits.filter(({ streamId }) => streamId.startsWith("Ticket-"));
  permits = commits.length - tickets.length;
  const types = new Set(tickets.flatMap(({ events }) => events.map(({ type }) => type)));
  secrets = {
    ids: tickets.flatMap(({ events }) => events.map(({ id }) => id)),
    streams: [...new Set(tickets.map(({ streamId }) => streamId))],
    types: [...types].filter((type) => !ours.some(({ event }) => event.type === type)),
  };
  expect([secrets.ids.length, permits]).toEqual([LINES, LINES]);
}, 240_000);

afterAll(() => edge?.stop());

function expectNoTicket(text: string): void {
  expect(text).not.toMatch(/Ticket/);
  for (const type of secrets.types) expect(text.includes(`"${type}"`), type).toBe(false);
  const ids = new Set(secrets.ids);
  expect([...text.matchAll(/"id":"([^"]+)"/g)].filter(([, id = ""]) => ids.has(id))).toEqual([]);
}

async function get(path: string, headers: HeadersInit = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${reader}`, ...headers } });
  return { status: response.status, text: await response.text() };
}

test("Feed authorisation: the feed's pages show the permits, and move on past the tickets", async () => {
  let after = 0;
  let seen = 0;
  for (;;) {
    const { status, text } = await get(`/feed?after=${after}&limit=300`);
    expect(status).toBe(200);
    expectNoTicket(text);
    const page: FeedPage = JSON.parse(text);
    seen += page.events.length;
    expect(page.position).toBeGreaterThan(after);
    after = page.position;
    if (page.position === page.head) break;
  }
  expect([seen, after]).toEqual([permits, 2 * LINES]);
});

test("Feed authorisation: no filter finds a ticket, nor tells how many there are", async () => {
  const [stream = ""] = secrets.streams;
  const [type = ""] = secrets.types;
  const asked = [
    "category=Ticket",
    `stream=${stream}`,
    `type=${encodeURIComponent(type)}`,
    "within=Ticket",
    `within=${stream}`,
    `category=Ticket&stream=${stream}`,
    "category=Nothing",
    "stream=Ticket-that-is-not-there",
  ];
  const answers = await Promise.all(asked.map((query) => get(`/feed?${query}`)));
  for (const { status, text } of answers) {
    const page: FeedPage = JSON.parse(text);
    expect([status, page.events, page.position]).toEqual([200, [], page.head]);
  }
  // What is there and what is not are answered the same, to the letter.
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  for (const query of ["category=Permit&category=Ticket", "within=Permit&within=Ticket", "since=2000-01-01T00:00:00Z"]) {
    expectNoTicket((await get(`/feed?${query}`)).text);
  }
});

test("Tenant and name isolation: a ticket's stream answers as one that is not there, and streams are listed without it", async () => {
  const ids = [secrets.streams[0] ?? "", "Ticket-none", "Ticket", "Permits-1"];
  const answers = await Promise.all(ids.map((id) => get(`/streams/${id}`)));
  // But for the name, which the caller has given.
  const told = answers.map(({ status, text }, i) => `${status} ${text.replaceAll(`"${ids[i]}"`, "it").replaceAll(`${ids[i]}: `, "")}`);
  expect(new Set(told).size).toBe(1);
  expect(answers[0]?.status).toBe(403);
  const streams: string[] = [];
  for (let after: string | null = ""; after !== null; ) {
    const { text } = await get(`/streams?limit=100&after=${after}`);
    expectNoTicket(text);
    const list: StreamList = JSON.parse(text);
    streams.push(...list.streams.map(({ streamId }) => streamId));
    after = list.next;
  }
  expect(streams.length).toBeGreaterThan(100);
  expect(JSON.parse((await get("/streams?category=Ticket")).text)).toEqual({ streams: [], next: null });
  expect((await get("/health")).status).toBe(403);
});

test("Feed authorisation: live, neither a socket nor server-sent events bring a ticket", async () => {
  const socket = new WebSocket(`${url.replace("http", "ws")}/feed`, ["headwater.v1", `bearer.${reader}`]);
  const messages: string[] = [];
  let after = 0;
  const pull = () => socket.send(JSON.stringify({ pull: { after } }));
  socket.addEventListener("message", ({ data }) => {
    messages.push(data);
    after = JSON.parse(data).position;
    pull();
  });
  socket.addEventListener("open", pull);
  const { body } = await fetch(`${url}/feed`, { headers: { authorization: `Bearer ${reader}`, accept: "text/event-stream" } });
  const stream = body?.pipeThrough(new TextDecoderStream()).getReader();
  let events = "";
  const read = async (end: string) => {
    while (!events.includes(end)) events += (await stream?.read())?.value ?? "";
  };
  await expect.poll(() => after, { timeout: 30_000 }).toBe(2 * LINES);
  await read(`id: ${2 * LINES}\n`);
  const before = messages.length;
  const [ticket = ""] = secrets.streams;
  await writer.appendToStream(ticket, [{ type: "Told of nobody", data: 1 }]);
  await writer.appendToStream("Permit-891", [{ type: "Told of all", data: 2 }]);
  await expect.poll(() => messages.at(-1), { timeout: 30_000 }).toContain("Told of all");
  await read("Told of all");
  // The ticket alone woke nobody.
  expect(messages.length).toBe(before + 1);
  for (const text of [...messages, events]) {
    expectNoTicket(text);
    expect(text).not.toContain("Told of nobody");
  }
  expect(messages.flatMap((text) => JSON.parse(text).events).length).toBe(permits + 1);
  socket.close();
  await stream?.cancel();
});

test("a reader who appends is refused, with a ticket's event ids as with any", async () => {
  const { status, text } = await fetch(`${url}/commits`, {
    method: "POST",
    headers: { authorization: `Bearer ${reader}` },
    body: JSON.stringify({ commits: [{ streamId: secrets.streams[0], events: [{ id: secrets.ids[0], type: "A", data: 1 }] }] }),
  }).then(async (response) => ({ status: response.status, text: await response.text() }));
  expect([status, JSON.parse(text).results]).toEqual([200, [expect.objectContaining({ status: "rejected", code: "forbidden" })]]);
});
