/** Makes requests from the edge's own OpenAPI description: valid ones, and the same requests broken in some way. */
import fc from "fast-check";

/** As far as `/openapi.json` goes. */
export interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly schema: Schema;
}

interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: Schema } } };
  readonly responses: Readonly<Record<string, { readonly content?: object }>>;
}

export interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>> & { readonly parameters?: readonly Parameter[] }>>;
}

export interface FuzzRequest {
  /** As the description names it, e.g. `POST /v1/{store}/commits`. */
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  /** Sent in pieces, without a Content-Length. */
  readonly chunked: boolean;
}

const WORDS = [
  "",
  "\0",
  "\ud800",
  "\u202e⁦",
  "__proto__",
  "constructor",
  "a\r\nb",
  "ﬃ",
  "NaN",
  "' OR 1=1 --",
  "x".repeat(5000),
  "💧".repeat(90),
];
const NUMBERS = ["-1", "-0", "0.5", "1e400", "-1e400", "9007199254740993", "1e21", "99999999999999999999999999", "2147483648", "1e-400"];
/** Few of each, so that requests meet; a store and a stream of its own cost an object. */
const STORES = ["fuzz-a", "fuzz-b", "fuzz-c"];
/** Of restores: a store that is being restored answers nothing else. */
const RESTORED = "fuzz-restored";
const STREAMS = Array.from({ length: 12 }, (_, i) => `${["Permit", "Ticket", "constructor"][i % 3]}-${i}`);
const IDS = Array.from({ length: 6 }, (_, i) => `00000000-0000-4000-8000-00000000000${i}`);
const ODD_SEGMENTS = [
  "%2f",
  "..%2f..",
  "%2e%2e",
  "..",
  ".",
  "a%0d%0ab",
  "%e2%80%ae",
  "%00",
  "%",
  "%zz",
  "%ff",
  "A".repeat(300),
  "A-1%2fB-1",
].concat(["__proto__", "$A", "%C3%A9", "e%CC%81", "A-1;x=1", "A-1?", "%2525", ""]);
const METHODS = ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PROPFIND", "GET", "POST"];
const ODD_HEADERS: readonly Readonly<Record<string, string>>[] = [
  { "content-type": "text/plain" },
  { "content-type": "application/x-www-form-urlencoded" },
  { "content-type": "multipart/form-data; boundary=x" },
  { "content-encoding": "gzip" },
  { "content-encoding": "br, identity" },
  { accept: "text/event-stream" },
  { accept: "text/event-stream", "last-event-id": "-1" },
  { accept: "text/event-stream", "last-event-id": "9".repeat(30) },
  { authorization: "Bearer \t" },
  { authorization: `Bearer ${"a".repeat(9000)}` },
  { origin: "null" },
  { origin: "http://localhost:5173" },
  { origin: "http://localhost.evil.example" },
  { "sec-websocket-protocol": "headwater.v9" },
  { "x-headwater-session": "%7B%7D" },
];

const json = fc.jsonValue({ maxDepth: 4, stringUnit: "grapheme" });
const nested = fc
  .tuple(fc.constantFrom(60, 64, 65, 200, 5000, 20_000), fc.constantFrom(["[", "]"], ['{"a":', "}"]))
  .map(([levels, [open = "", close = ""]]) => `${open.repeat(levels)}1${close.repeat(levels)}`);

function arbitraryOf(schema: Schema, name = ""): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((item) => arbitraryOf(item)), fc.constant("any"));
  switch (schema.type) {
    case "string":
      return textOf(schema, name);
    case "integer": {
      const least = schema.minimum ?? 0;
      // Of a decider: what is for another version waits.
      if (name === "version") return fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, fc.maxSafeNat());
      return fc.oneof({ weight: 9, arbitrary: fc.integer({ min: least, max: least + 30 }) }, fc.maxSafeNat());
    }
    case "number":
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case "boolean":
      return fc.boolean();
    case "array":
      return fc.array(arbitraryOf(schema.items ?? {}, name), { minLength: schema.minItems ?? 0, maxLength: 4 });
    case "object": {
      const fields = Object.entries(schema.properties ?? {}).map(([key, value]) => [key, arbitraryOf(value, key)] as const);
      // A log is named in one of a few requests: what follows another one is refused whole.
      const seldom = fields.filter(([key]) => ["log", "mark", "position"].includes(key) && !schema.required?.includes(key));
      const usual = fields.filter((field) => !seldom.includes(field));
      const few = fc.record(Object.fromEntries(usual), { requiredKeys: [...(schema.required ?? [])] });
      const all = fc.record(Object.fromEntries(fields), { requiredKeys: [...(schema.required ?? [])] });
      return seldom.length === 0 ? few : fc.oneof({ weight: 9, arbitrary: few }, all);
    }
    default:
      return json;
  }
}

function textOf(schema: Schema, name: string): fc.Arbitrary<string> {
  const made =
    schema.pattern === undefined
      ? fc.string({ minLength: schema.minLength ?? 0, maxLength: 20 })
      : fc.stringMatching(new RegExp(schema.pattern));
  if (name === "store") return fc.oneof({ weight: 60, arbitrary: fc.constantFrom(...STORES) }, made);
  if (name === "streamId") return fc.oneof({ weight: 30, arbitrary: fc.constantFrom(...STREAMS) }, made);
  if (schema.format === "uuid") return fc.oneof({ weight: 20, arbitrary: fc.uuid() }, fc.constantFrom(...IDS));
  if (schema.format === "date-time" || name === "since" || name === "until") {
    return fc.date({ min: new Date(0), max: new Date(2 ** 41), noInvalidDate: true }).map((date) => date.toISOString());
  }
  if (name === "direction") return fc.constantFrom("forwards", "backwards");
  if (name === "category") return fc.constantFrom("Permit", "Ticket");
  if (name === "decider") return fc.oneof({ weight: 9, arbitrary: fc.constant("noting") }, made);
  return made;
}

/** The JSON text of a body, with something in it that the schema does not allow, or that JSON does not. */
function brokenBody(valid: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  const text = valid.map((value) => JSON.stringify(value));
  const odd = fc.oneof(
    fc.constantFrom(...NUMBERS),
    fc.constantFrom(...WORDS).map((word) => JSON.stringify(word)),
    fc.constantFrom(
      '"\\ud800"',
      '"\\u0000"',
      "[]",
      "{}",
      "null",
      "true",
      '{"__proto__":{"x":1}}',
      '{"constructor":{"prototype":{"x":1}}}',
      "[[]]",
    ),
    nested,
    json.map((value) => JSON.stringify(value)),
  );
  const replaced = fc.tuple(text, odd, fc.nat()).map(([whole, value, at]) => {
    // Any member's value, nested or not; a reader of JSON takes the last of duplicate keys.
    const keys = [...whole.matchAll(/"(\w+)":/g)];
    const key = keys[at % Math.max(keys.length, 1)];
    return key === undefined ? value : `${whole.slice(0, key.index)}"${key[1]}":${value},${whole.slice(key.index)}`;
  });
  const substituted = fc.tuple(text, odd, fc.nat()).map(([whole, value, at]) => {
    const values = [...whole.matchAll(/:("(?:[^"\\]|\\.)*"|-?[\d.e+]+|true|false|null)/g)];
    const found = values[at % Math.max(values.length, 1)];
    return found === undefined ? value : `${whole.slice(0, found.index)}:${value}${whole.slice(found.index + found[0].length)}`;
  });
  const renamed = fc.tuple(text, fc.nat(), fc.constantFrom("__proto__", "other", "")).map(([whole, at, name]) => {
    const keys = [...whole.matchAll(/"(\w+)":/g)];
    const key = keys[at % Math.max(keys.length, 1)];
    return key === undefined ? "" : `${whole.slice(0, key.index)}"${name}":${whole.slice(key.index + key[0].length)}`;
  });
  const cut = fc.tuple(text, fc.nat()).map(([whole, at]) => whole.slice(0, at % Math.max(whole.length, 1)));
  return fc.oneof(replaced, substituted, renamed, cut, odd, fc.string({ unit: "binary" }));
}

const encoder = new TextEncoder();

function bytesOf(text: fc.Arbitrary<string>): fc.Arbitrary<Uint8Array> {
  const spoiled = fc.tuple(text, fc.nat()).map(([whole, at]) => {
    const bytes = encoder.encode(`${whole} `);
    bytes[at % bytes.length] = 0xff;
    return bytes;
  });
  return fc.oneof({ weight: 20, arbitrary: text.map((whole) => encoder.encode(whole)) }, spoiled);
}

/** Beyond what the edge reads of a body. */
const TOO_LARGE = encoder.encode(`{"events":[{"type":"A","data":"${"x".repeat(4 * 1024 * 1024)}"}]}`);

/** One request for one of the operations. */
export function requestsOf({ paths }: Description): fc.Arbitrary<FuzzRequest> {
  const operations = Object.entries(paths).flatMap(([path, { parameters = [], ...methods }]) =>
    Object.entries(methods).map(([method, operation]) => ({
      weight: path.includes("{") ? 8 : 1,
      arbitrary: requestOf(path, method.toUpperCase(), parameters, operation),
    })),
  );
  return fc.oneof(...operations);
}

function requestOf(path: string, method: string, shared: readonly Parameter[], operation: Operation): fc.Arbitrary<FuzzRequest> {
  const given = path.replace("{store}/restore", `${RESTORED}/restore`);
  const parameters = [...shared, ...(operation.parameters ?? [])];
  const validPath = pathOf(given, parameters, (parameter) => arbitraryOf(parameter.schema, parameter.name).map(String));
  const oddPath = pathOf(given, parameters, () => fc.constantFrom(...ODD_SEGMENTS));
  const inQuery = parameters.filter((parameter) => parameter.in === "query");
  const validQuery = queryOf(inQuery, false);
  const schema = operation.requestBody?.content["application/json"].schema;
  const validBody = schema === undefined ? fc.constant(null) : arbitraryOf(schema).map((value) => encoder.encode(JSON.stringify(value)));
  const oddBody = schema === undefined ? fc.constant(null) : bytesOf(brokenBody(arbitraryOf(schema)));
  const large = schema === undefined ? fc.constant(null) : fc.constant(TOO_LARGE);
  const usual = { operation: fc.constant(`${method} ${path}`), method: fc.constant(method), path: validPath, query: validQuery };
  const valid = { ...usual, headers: fc.constant({}), body: validBody, chunked: fc.boolean() };
  const requests = fc.oneof(
    { weight: 40, arbitrary: fc.record(valid) },
    { weight: schema === undefined ? 5 : 50, arbitrary: fc.record({ ...valid, body: oddBody }) },
    { weight: inQuery.length > 0 ? 30 : 5, arbitrary: fc.record({ ...valid, query: queryOf(inQuery, true) }) },
    { weight: 8, arbitrary: fc.record({ ...valid, path: oddPath }) },
    { weight: 8, arbitrary: fc.record({ ...valid, method: fc.constantFrom(...METHODS) }) },
    { weight: 8, arbitrary: fc.record({ ...valid, headers: fc.constantFrom(...ODD_HEADERS) }) },
    { weight: 1, arbitrary: fc.record({ ...valid, body: large }) },
  );
  return requests.map(({ query, ...request }) => {
    // The platform's own matter: a GET with a body never reaches the edge.
    const bodiless = request.method === "GET" || request.method === "HEAD";
    const headers = request.body === null || bodiless ? request.headers : { "content-type": "application/json", ...request.headers };
    return { ...request, path: `${request.path}${query}`, headers, body: bodiless ? null : request.body };
  });
}

function pathOf(
  path: string,
  parameters: readonly Parameter[],
  made: (parameter: Parameter) => fc.Arbitrary<string>,
): fc.Arbitrary<string> {
  const named = parameters.filter((parameter) => parameter.in === "path");
  const values = fc.record(Object.fromEntries(named.map((parameter) => [parameter.name, made(parameter)])));
  return values.map((given) => path.replaceAll(/\{(\w+)\}/g, (_, name: string) => given[name] ?? ""));
}

function queryOf(parameters: readonly Parameter[], isBroken: boolean): fc.Arbitrary<string> {
  const odd = fc.oneof(fc.constantFrom(...NUMBERS), fc.constantFrom(...WORDS), fc.string());
  const pairs = parameters.map(({ name, schema }) => {
    const valid = arbitraryOf(schema, name).map((value) => (Array.isArray(value) ? value : [value]).map(String));
    const values = isBroken ? fc.oneof(valid, fc.array(odd, { minLength: 1, maxLength: 3 })) : valid;
    // What seldom holds would leave every page refused or empty.
    const isSelective = ["log", "mark", "seen", "correlation", "since", "until"].includes(name);
    const given = fc.oneof({ weight: isSelective && !isBroken ? 12 : 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: values });
    return given.map((several) => several.map((value) => [name, value] as const));
  });
  return fc.tuple(...pairs).map((lists) => {
    const parts = lists.flat().map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`);
    return parts.length === 0 ? "" : `?${parts.join("&")}`;
  });
}
