/** Web pages of other origins: what a browser lets them do by the edge's answers, and what the edge's log says if it does not. */
import { createExecutionContext, env } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { createEdge, type EdgeEnv } from "../../../worker/index.ts";
import { event, newStore } from "../edge-calls.ts";

const ORIGIN = "https://app.example";

afterEach(() => {
  vi.restoreAllMocks();
});

interface PageRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Sent only by a page that includes credentials; then the edge must allow them. */
  readonly cookie?: string;
  readonly origin?: string;
}

type Settings = Partial<Pick<EdgeEnv, "ALLOWED_HEADERS" | "ALLOWED_ORIGINS" | "ALLOW_CREDENTIALS" | "LOG">>;

/** A web page in a browser, which decides by https://fetch.spec.whatwg.org/#http-cors-protocol, and the lines of the edge's log. */
function openPage(settings: Settings, edge = createEdge()) {
  const lines: string[] = [];
  for (const level of ["log", "error"] as const) vi.spyOn(console, level).mockImplementation((line) => void lines.push(line));
  const bindings = { STREAMS: env.STREAMS, LOGS: env.LOGS, AUTH: "open", ALLOWED_ORIGINS: ORIGIN, ...settings };
  const send = async (url: string, init: RequestInit) => edge.fetch(new Request(url, init), bindings, createExecutionContext());
  const isShared = ({ headers }: Response, { origin = ORIGIN, cookie }: PageRequest) =>
    headers.get("access-control-allow-origin") === origin &&
    (cookie === undefined || headers.get("access-control-allow-credentials") === "true");
  const names = (text: string | null) => (text ?? "").split(",").map((name) => name.trim().toLowerCase());
  return {
    reasons: () => lines.map((line) => JSON.parse(line)).flatMap(({ reason }) => reason ?? []),
    lines,
    /** The response that the page may read; undefined if the browser sent only the preflight, or if it withholds the response. */
    fetch: async (url: string, request: PageRequest = {}): Promise<Response | undefined> => {
      const { method = "GET", headers = {}, body, origin = ORIGIN, cookie } = request;
      const asked = Object.keys(headers);
      const preflight = await send(url, {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": method,
          ...(asked.length === 0 ? {} : { "access-control-request-headers": asked.join(",") }),
        },
      });
      await preflight.arrayBuffer();
      const allowed = names(preflight.headers.get("access-control-allow-headers"));
      const methods = [...names(preflight.headers.get("access-control-allow-methods")), "head"];
      const isSent =
        preflight.ok &&
        isShared(preflight, request) &&
        methods.includes(method.toLowerCase()) &&
        asked.every((name) => allowed.includes(name.toLowerCase()));
      if (!isSent) return undefined;
      const response = await send(url, {
        method,
        headers: { origin, ...headers, ...(cookie && { cookie }) },
        ...(body && { body: JSON.stringify(body) }),
      });
      return isShared(response, request) ? response : undefined;
    },
  };
}

const newUrl = () => `https://edge.example/v1/${newStore().id}`;
const USER = { "x-user": "ann" };
const NOT_ALLOWED = "The web page wants to send headers that are not allowed: add them to ALLOWED_HEADERS:";

test.each<[string, Settings, PageRequest, number | undefined, string[]]>([
  ["a token", {}, { headers: { authorization: "Bearer x", "content-type": "application/json" } }, 200, []],
  ["W3C's headers of tracing", {}, { headers: { traceparent: "00-1", tracestate: "a=1", baggage: "b=1" } }, 200, []],
  ["Sentry's headers of tracing", {}, { headers: { "sentry-trace": "1-2", baggage: "sentry-x=1" } }, 200, []],
  ["Last-Event-ID", {}, { headers: { "Last-Event-ID": "0" } }, 200, []],
  ["a header of the app's", {}, { headers: USER }, undefined, [`${NOT_ALLOWED} x-user`]],
  ["a header of the app's that is allowed", { ALLOWED_HEADERS: "X-Other, X-User" }, { headers: USER }, 200, []],
  [
    "one allowed, two not",
    { ALLOWED_HEADERS: "x-user" },
    { headers: { ...USER, "x-a": "1", "x-b": "2" } },
    undefined,
    [`${NOT_ALLOWED} x-a, x-b`],
  ],
  ["cookies", {}, { cookie: "a=1" }, undefined, []],
  ["cookies that are allowed", { ALLOW_CREDENTIALS: "true" }, { cookie: "a=1" }, 200, []],
  ["cookies, not allowed", { ALLOW_CREDENTIALS: "false" }, { cookie: "a=1" }, undefined, []],
  ["a HEAD", {}, { method: "HEAD" }, 200, []],
  ["a PUT", {}, { method: "PUT" }, undefined, ["The web page wants to send PUT: a web page of another origin may send only GET and POST."]],
  [
    "another origin, with everything allowed",
    { ALLOW_CREDENTIALS: "true", ALLOWED_HEADERS: "x-user" },
    { origin: "https://evil.example", cookie: "a=1", headers: USER },
    undefined,
    ["The origin https://evil.example is not allowed: add it to ALLOWED_ORIGINS."],
  ],
])("a page that sends %s", async (_, settings, request, status, reasons) => {
  const page = openPage(settings);
  expect((await page.fetch(`${newUrl()}/feed`, request))?.status).toBe(status);
  expect(page.reasons()).toEqual(reasons);
});

test("the README's own authenticate works for a page of another origin, and so does one that reads a cookie", async () => {
  const grants = [{ store: "*", streams: ["*"], can: ["read", "append"] }];
  const byHeader = createEdge({
    authenticate: ({ headers }) => {
      const user = headers.get("x-user");
      return user === null ? null : { actor: user, grants };
    },
  });
  const url = `${newUrl()}/streams/A-1`;
  const append = () => ({ method: "POST", body: { events: [event()] } });
  const page = openPage({ ALLOWED_HEADERS: "x-user" }, byHeader);
  expect((await page.fetch(url, { ...append(), headers: { ...USER, "content-type": "application/json" } }))?.status).toBe(201);
  // The page may read why it is rejected, too.
  expect((await page.fetch(url, append()))?.status).toBe(401);
  const byCookie = createEdge({ authenticate: ({ headers }) => (headers.get("cookie") === "user=ann" ? { actor: "ann", grants } : null) });
  const session = openPage({ ALLOW_CREDENTIALS: "true" }, byCookie);
  expect((await session.fetch(url, { ...append(), cookie: "user=ann" }))?.status).toBe(201);
});

test("a browser's preflight may be kept, and is kept for its origin alone", async () => {
  const request = new Request(`${newUrl()}/feed`, {
    method: "OPTIONS",
    headers: { origin: ORIGIN, "access-control-request-method": "GET" },
  });
  const { status, headers } = await createEdge().fetch(request, { ...env, ALLOWED_ORIGINS: ORIGIN, ALLOW_CREDENTIALS: "true" });
  expect([status, Object.fromEntries(headers)]).toEqual([
    204,
    {
      "access-control-allow-credentials": "true",
      "access-control-allow-headers": "authorization, content-type, last-event-id, traceparent, tracestate, baggage, sentry-trace",
      "access-control-allow-methods": "GET, POST",
      "access-control-allow-origin": ORIGIN,
      "access-control-max-age": "7200",
      vary: "origin",
    },
  ]);
});

test("settings that say something else allow nothing, and the log says so once", async () => {
  const page = openPage({ ALLOW_CREDENTIALS: "yes", ALLOWED_HEADERS: "*, x user" });
  for (let i = 0; i < 2; i++) {
    expect(await page.fetch(`${newUrl()}/feed`, { cookie: "a=1" })).toBeUndefined();
    expect(await page.fetch(`${newUrl()}/feed`, { headers: USER })).toBeUndefined();
  }
  const faults = page.lines.map((line) => JSON.parse(line)).filter(({ where }) => where === "settings");
  expect(faults.map(({ message }) => message)).toEqual([
    'Error: ALLOW_CREDENTIALS is neither "true" nor "false", so web pages cannot send cookies: correct it.',
    "Error: ALLOWED_HEADERS has an entry that is not the name of a header, and the edge ignores it: list names, separated by commas.",
  ]);
});

test("a reason is short, however much a page wants to send, and LOG = faults leaves it out with its request", async () => {
  const headers = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`x-a-long-name-${i}`, "1"]));
  const page = openPage({});
  expect(await page.fetch(`${newUrl()}/feed`, { headers })).toBeUndefined();
  expect(page.reasons().map((reason: string) => reason.length)).toEqual([300]);
  const quiet = openPage({ LOG: "faults" });
  expect(await quiet.fetch(`${newUrl()}/feed`, { headers })).toBeUndefined();
  expect(quiet.lines).toEqual([]);
});
