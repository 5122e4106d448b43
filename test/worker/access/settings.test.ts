/** What is wrong with the settings is in the log, once for each isolate. */
import { createExecutionContext, env } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SUBSCRIPTIONS } from "../edges.ts";

const lines: string[] = [];

beforeEach(() => {
  lines.length = 0;
  vi.spyOn(console, "error").mockImplementation((line) => void lines.push(line));
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** The edge, as an isolate that has just started has it. */
async function newIsolate() {
  vi.resetModules();
  return import("../../../worker/index.ts");
}

const told = () => lines.map((line) => JSON.parse(line)).map(({ level, where, message }) => [level, where, message]);

const SECRET = "a secret that is long enough for HS256, as RFC 7518 wants it";
const MISSPELT = 'Error: AUTH is neither "jwt" nor "open", so every request is rejected: correct it, or remove it for "jwt".';
const NO_KEYS = "Error: Neither JWT_SECRET nor JWT_JWKS is set, so no token is valid: set the one that tokens are signed with.";

test.each<[string, Record<string, string>, string]>([
  ["AUTH misspelt", { AUTH: "Open" }, MISSPELT],
  ["AUTH misspelt beside a secret", { AUTH: "JWT", JWT_SECRET: SECRET }, MISSPELT],
  ["AUTH empty", { AUTH: "" }, MISSPELT],
  ["neither a secret nor keys", {}, NO_KEYS],
  ["neither a secret nor keys, with AUTH = jwt", { AUTH: "jwt", JWT_SECRET: "", JWT_JWKS: "" }, NO_KEYS],
  ["a short secret", { JWT_SECRET: "short" }, "Error: JWT_SECRET has 5 bytes: HS256 requires 32 or more."],
  [
    "two kinds of keys",
    { JWT_SECRET: SECRET, JWT_JWKS: "{}" },
    "Error: JWT_SECRET and JWT_JWKS are both set: set only the one that tokens are signed with.",
  ],
])("%s: every request is rejected, and the log says why once for each isolate", async (_, settings, message) => {
  const { STREAMS, LOGS } = env;
  for (let isolate = 1; isolate <= 2; isolate++) {
    const edge = (await newIsolate()).createEdge();
    for (const headers of [{}, { authorization: "Bearer abc" }, {}] as Record<string, string>[]) {
      const request = new Request("https://edge.example/v1/any/feed", { headers });
      const response = await edge.fetch(request, { STREAMS, LOGS, LOG: "faults", ...settings }, createExecutionContext());
      expect([response.status, await response.json()]).toMatchObject([401, { code: "unauthenticated" }]);
    }
    expect(told()).toEqual(Array.from({ length: isolate }, () => ["error", "settings", message]));
  }
});

test("settings that are right log nothing, and an app's own authenticate needs none", async () => {
  const { STREAMS, LOGS } = env;
  const { createEdge } = await newIsolate();
  const bindings = { STREAMS, LOGS, LOG: "faults" };
  const url = "https://edge.example/v1/any/feed";
  const statuses = [
    await createEdge().fetch(new Request(url), { ...bindings, AUTH: "jwt", JWT_SECRET: SECRET }, createExecutionContext()),
    await createEdge({ authenticate: () => null }).fetch(new Request(url), { ...bindings, AUTH: "sessions" }, createExecutionContext()),
    await createEdge().fetch(new Request("https://edge.example/health"), bindings, createExecutionContext()),
  ].map(({ status }) => status);
  expect([statuses, told()]).toEqual([[401, 401, 200], []]);
});

test("subscriptions without their binding: every request is answered 503, and the log says why once", async () => {
  const { STREAMS, LOGS } = env;
  const edge = (await newIsolate()).createEdge({ subscriptions: SUBSCRIPTIONS });
  for (let i = 0; i < 3; i++) {
    const request = new Request("https://edge.example/v1/any/feed");
    const response = await edge.fetch(request, { STREAMS, LOGS, LOG: "faults", AUTH: "open" }, createExecutionContext());
    expect(response.status).toBe(503);
  }
  expect(told()).toEqual([["error", "settings", expect.stringContaining("SUBSCRIPTIONS")]]);
});

test.each<[string, Record<string, unknown>, string]>([
  ["an origin with a path", { ALLOWED_ORIGINS: "https://app.example/" }, "ALLOWED_ORIGINS must be origins such as"],
  ["any origin", { ALLOWED_ORIGINS: "*" }, "ALLOWED_ORIGINS must be origins such as"],
  ["origins as a list", { ALLOWED_ORIGINS: ["https://app.example"] }, "ALLOWED_ORIGINS must be origins such as"],
  ["LOG misspelt", { LOG: "fault" }, 'LOG must be "faults" or "all"'],
  ["an issuer that is no text", { JWT_ISSUER: 7 }, "JWT_ISSUER must be a text"],
])("%s: the edge answers, and the log says what is wrong once", async (_, settings, message) => {
  const { STREAMS, LOGS } = env;
  const edge = (await newIsolate()).createEdge();
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  const bindings = { STREAMS, LOGS, AUTH: "open", LOG: "faults", ...settings } as typeof env;
  for (let i = 0; i < 2; i++) {
    const request = new Request("https://edge.example/health", { headers: { origin: "https://edge.example" } });
    expect((await edge.fetch(request, bindings, createExecutionContext())).status).toBeLessThan(500);
  }
  expect(told()).toEqual([["error", "settings", expect.stringContaining(message)]]);
});

test("variables that are right log nothing", async () => {
  const { STREAMS, LOGS } = env;
  const edge = (await newIsolate()).createEdge();
  const settings = { ALLOWED_ORIGINS: "https://app.example, http://127.0.0.1:5173,", LOG: "faults", JWT_ISSUER: "" };
  const bindings = { STREAMS, LOGS, AUTH: "open", ...settings };
  expect((await edge.fetch(new Request("https://edge.example/health"), bindings, createExecutionContext())).status).toBe(200);
  expect(told()).toEqual([]);
});

test.each<[string, unknown, string]>([
  ["a misspelt end", { actor: "ann", grants: [], expires: 1 }, "principal.expires is not an option here"],
  ["no grants", { actor: "ann" }, "principal.grants must be a list of"],
  ["grants of another form", { actor: "ann", grants: [{ store: "*", stream: "*", can: "read" }] }, "principal.grants must be a list of"],
  ["an end that is a date", { actor: "ann", grants: [], expiresAt: new Date() }, "principal.expiresAt must be a number of"],
  ["no actor", { grants: [] }, "principal.actor must be a text or null"],
])("an app's authenticate that returns %s lets nobody in, and the log says why", async (_, principal, message) => {
  const { STREAMS, LOGS } = env;
  const edge = (await newIsolate()).createEdge({ authenticate: () => principal as null });
  const bindings = { STREAMS, LOGS, LOG: "faults" };
  const response = await edge.fetch(new Request("https://edge.example/v1/any/feed"), bindings, createExecutionContext());
  expect([response.status, await response.json()]).toMatchObject([503, { code: "unavailable" }]);
  expect(told()).toContainEqual(["error", "settings", expect.stringContaining(message)]);
});

test("an app's authenticate that returns nothing knows nobody", async () => {
  const { STREAMS, LOGS } = env;
  const edge = (await newIsolate()).createEdge({ authenticate: () => undefined as unknown as null });
  const request = new Request("https://edge.example/v1/any/feed");
  expect((await edge.fetch(request, { STREAMS, LOGS, LOG: "faults" }, createExecutionContext())).status).toBe(401);
});
