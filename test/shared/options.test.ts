/** The check of options by their description. */
import { expect, test } from "vitest";
import { InvalidRequestError } from "../../shared/errors.ts";
import * as option from "../../shared/options.ts";
import { toStoreUrl } from "../../shared/store-url.ts";

interface Sample {
  readonly url: string;
  readonly limit?: number;
  readonly kind?: "a" | "b";
}

const SAMPLE = {
  url: option.required(option.storeUrl),
  limit: option.withPreset(option.count, 5),
  kind: option.oneOf("a", "b"),
} satisfies option.OptionsOf<Sample>;

const url = "https://edge.example/v1/permits";
const refusal = (given: unknown, at?: string) => {
  try {
    return option.completeOptions(given as Sample, SAMPLE, at);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidRequestError);
    return error instanceof InvalidRequestError ? [error.details.field, error.message] : [];
  }
};

test("what is left out, or undefined, has its preset", () => {
  expect(option.completeOptions<Sample, typeof SAMPLE>({ url }, SAMPLE)).toEqual({ url, limit: 5 });
  expect(option.completeOptions({ url, limit: undefined, kind: undefined } as unknown as Sample, SAMPLE)).toEqual({ url, limit: 5 });
  expect(option.completeOptions<Sample, typeof SAMPLE>({ url, limit: 1, kind: "b" }, SAMPLE)).toEqual({ url, limit: 1, kind: "b" });
});

test("an option of a prototype counts, as it does when it is read", () => {
  expect(option.completeOptions(Object.create({ url, limit: 2 }) as Sample, SAMPLE)).toEqual({ url, limit: 2 });
});

test("an unknown option is refused by its name, with those that there are", () => {
  expect(refusal({ url, offset: 3 }, "sync.")).toEqual(["sync.offset", "sync.offset is not an option here. Options are url, limit, kind."]);
  expect(refusal({ url, constructor: 1 })).toEqual(["constructor", "constructor is not an option here. Options are url, limit, kind."]);
  expect(refusal({ url, Limit: undefined })).toEqual(["Limit", "Limit is not an option here. Options are url, limit, kind."]);
});

test("an option of another form is refused by what it must be, and no text is shown", () => {
  expect(refusal({ url, limit: 0 })).toEqual(["limit", "limit must be a whole number from 1, not 0."]);
  expect(refusal({ url, limit: null })).toEqual(["limit", "limit must be a whole number from 1, not null."]);
  expect(refusal({ url, limit: [1] })).toEqual(["limit", "limit must be a whole number from 1, not a list."]);
  expect(refusal({ url, kind: "c secret" })).toEqual(["kind", 'kind must be "a" or "b", not a string.']);
  expect(refusal({}, "sync.")).toMatchObject(["sync.url", expect.stringMatching(/^sync\.url must be an absolute .*, not undefined\.$/)]);
});

test.each([
  [undefined, "options must be an object, not undefined."],
  [null, "options must be an object, not null."],
  [["url"], "options must be an object, not a list."],
  [5, "options must be an object, not 5."],
  [url, "options must be an object, not a string."],
])("options that are none: %j", (given, message) => {
  expect(refusal(given)).toEqual(["options", message]);
});

test.each([
  [
    option.timeout,
    [0, 1, 30_000, 2 ** 31 - 1, Number.POSITIVE_INFINITY],
    [2 ** 31, 30 * 86_400_000, -1, 0.5, Number.NaN, "30s", "30", null],
  ],
  [option.milliseconds, [1, 5_000, 2 ** 31 - 1], [0, 2 ** 31, Number.POSITIVE_INFINITY, 1.5, "5"]],
  [option.texts, ["a", ["a", "b"], []], ["", [""], [["a"]], 1, null]],
  [option.cause, [{ id: "x", metadata: {} }], ["x", { id: "x" }, { metadata: {} }]],
  [option.upTo(10), [1, 10], [0, 11]],
])("$what", ({ accepts }, right, wrong) => {
  expect(right.filter((value) => !accepts(value))).toEqual([]);
  expect(wrong.filter((value) => accepts(value))).toEqual([]);
});

test.each([
  [url, url],
  [`${url}/`, url],
  [`${url}//`, url],
  [new URL(url), url],
  ["http://127.0.0.1:8787/v1/permits", "http://127.0.0.1:8787/v1/permits"],
  ["http://[::1]:8787/v1/permits", "http://[::1]:8787/v1/permits"],
  ["HTTPS://edge.example/v1/permits", "HTTPS://edge.example/v1/permits"],
])("an address of a store: %s", (given, address) => {
  expect(toStoreUrl(given)).toBe(address);
});

test.each([
  undefined,
  null,
  "",
  "undefined",
  "/v1/permits",
  "v1/permits",
  "//edge.example/v1/permits",
  "edge.example/v1/permits",
  `${url}?log=1`,
  `${url}#top`,
  new URL(`${url}?`),
  new URL(`${url}#`),
  "ws://edge.example/v1/permits",
  new URL("wss://edge.example/v1/permits"),
  "file:///v1/permits",
  "https:/edge.example/v1/permits",
  "https://ann:secret@edge.example/v1/permits",
  `${url}\n`,
  ` ${url}`,
  "https://:8787/v1/permits",
  8787,
  {},
])("no address of a store: %s", (given) => {
  expect(toStoreUrl(given)).toBeUndefined();
});
