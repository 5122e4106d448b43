import { createExecutionContext, env } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import operations from "../../../docs/operations.md?raw";
import { createEdge, type EdgeEnv } from "../../../worker/index.ts";
import { LogObject } from "../../../worker/log/log-object.ts";
import { event } from "../edge-calls.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Calls an edge with the setting `LOG`, and takes down its lines. */
function journaled(settings: Pick<EdgeEnv, "LOG"> = {}) {
  const store = crypto.randomUUID();
  const lines: string[] = [];
  for (const level of ["log", "error"] as const) vi.spyOn(console, level).mockImplementation((line) => void lines.push(line));
  const { STREAMS, LOGS } = env;
  const edge = createEdge();
  const call = (path: string, init?: RequestInit) =>
    edge.fetch(
      new Request(`https://edge.example${path.replace("STORE", store)}`, init),
      { STREAMS, LOGS, AUTH: "open", ...settings },
      createExecutionContext(),
    );
  const append = (data: unknown) => ({ method: "POST", body: JSON.stringify({ events: [event("Happened", data)] }) });
  return { store, lines, call, append };
}

test("each request is told in one line of JSON, with what became of it", async () => {
  const { store, lines, call, append } = journaled();
  await call("/v1/STORE/streams/A-1", append(1));
  await call("/v1/STORE/streams/B-1", { headers: { "cf-ray": "8a1b" } });
  await call("/v1/STORE/feed?limit=0");
  await call("/nowhere", { method: "PUT" });
  await call("/health", { method: "OPTIONS", headers: { origin: "https://evil.example" } });
  const told = lines.map((line) => JSON.parse(line));
  const one = { level: "info", duration: expect.any(Number), request: expect.any(String) };
  expect(told).toEqual([
    { ...one, method: "POST", path: `/v1/${store}/streams/A-1`, status: 201, store },
    { ...one, method: "GET", path: `/v1/${store}/streams/B-1`, status: 404, code: "stream-not-found", store, request: "8a1b" },
    { ...one, method: "GET", path: `/v1/${store}/feed`, status: 400, code: "invalid-request", store },
    { ...one, method: "PUT", path: "/nowhere", status: 404, code: "invalid-request" },
    {
      ...one,
      method: "OPTIONS",
      path: "/health",
      status: 403,
      code: "forbidden",
      reason: "The origin https://evil.example is not allowed: add it to ALLOWED_ORIGINS.",
    },
  ]);
});

test("the line that docs/operations.md shows has the fields of one that is written", async () => {
  const { lines, call, append } = journaled();
  await call("/v1/STORE/streams/A-1", append(1));
  const { events } = JSON.parse(append(1).body);
  await call("/v1/STORE/streams/A-1", { method: "POST", body: JSON.stringify({ events, expectedVersion: 7 }) });
  const shown = JSON.parse(/```json\n([\s\S]*?)```/.exec(operations)?.[1] ?? "");
  const written = JSON.parse(lines[1] ?? "");
  expect(Object.keys(shown)).toEqual(Object.keys(written));
  const { level, method, status, code } = written;
  expect(shown).toMatchObject({ level, method, status, code });
});

test("no line has a token, a payload or a query in it, not even where something fails", async () => {
  const { lines, call, append } = journaled();
  const secret = "s3cret";
  const headers = { authorization: `Bearer ${secret}`, cookie: secret };
  await call("/v1/STORE/streams/A-1", { ...append(secret), headers });
  await call("/v1/STORE/streams/A-1", { method: "POST", body: `{"events":"${secret}`, headers });
  await call(`/v1/STORE/feed?correlation=${secret}&token=${secret}`, { headers });
  const live = await call("/v1/STORE/feed", {
    headers: { upgrade: "websocket", "sec-websocket-protocol": `headwater.v1, bearer.${secret}` },
  });
  expect(live.status).toBe(101);
  vi.spyOn(LogObject.prototype, "readPage").mockImplementation(() => {
    throw new Error("out of order");
  });
  expect((await call(`/v1/STORE/feed?type=${secret}`, { headers })).status).toBe(503);
  expect(lines).toHaveLength(6);
  expect(lines.join()).not.toContain(secret);
  const [fault = "", request = ""] = lines.slice(-2);
  expect(JSON.parse(fault)).toMatchObject({ level: "error", where: "request", message: "Error: out of order" });
  expect(JSON.parse(request)).toMatchObject({ level: "error", status: 503, code: "unavailable", request: JSON.parse(fault).request });
});

test("one line stays one line, whatever stands in the path", async () => {
  const { lines, call } = journaled();
  for (const odd of ["a%0d%0a%7B%7D", "%e2%80%ae", "%E2%80%A8", "%00", "x".repeat(9000)]) await call(`/v1/STORE/streams/${odd}`);
  expect(lines).toHaveLength(5);
  for (const line of lines) {
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(line.length).toBeLessThan(700);
    expect(JSON.parse(line)).toMatchObject({ status: 400, code: "invalid-request" });
  }
});

test("LOG = faults leaves out the requests", async () => {
  const { lines, call } = journaled({ LOG: "faults" });
  await call("/health");
  await call("/nowhere");
  expect(lines).toEqual([]);
});
