/** The app's `token` function, whatever it does: over HTTP and on a device. */
import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import { connectStore, UnavailableError } from "../../../client/http.ts";
import { openStore, UnauthenticatedError } from "../../../client/index.ts";
import { eventually } from "../../support/eventually.ts";

const MUST = '`token` must return a token: printable characters without a space, and without "Bearer". It returned';
const FAILING: [what: string, token: () => unknown, message: string][] = [
  [
    "throws",
    () => {
      throw new Error("The session has ended.");
    },
    "`token` failed: The session has ended.",
  ],
  ["rejects", () => Promise.reject("no session"), "`token` failed: no session"],
  ["returns undefined", () => undefined, `${MUST} a value of the type undefined.`],
  ["returns a number", () => 7, `${MUST} a value of the type number.`],
  ["returns an empty text", () => "", `${MUST} another text.`],
  ["returns a text with a line break", () => "abc\n", `${MUST} another text.`],
  ["returns the header", async () => "Bearer abc", `${MUST} another text.`],
];

afterEach(() => {
  vi.unstubAllGlobals();
});

const settings = (given: () => unknown) => {
  const token = vi.fn(given as () => string);
  const fetch = vi.fn<typeof globalThis.fetch>(async () => Response.json({ log: "l", events: [], position: 0, head: 0 }));
  return { url: "https://edge.example/v1/permits", token, fetch };
};

test.each(FAILING)(
  "over HTTP, a token function that %s: UnauthenticatedError with its message, and nothing is sent",
  async (_, given, message) => {
    const options = settings(given);
    const store = connectStore(options);
    for (const read of [() => store.head(), () => store.appendToStream("Permit-1", [{ type: "A", data: 1 }])]) {
      const error = await read().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(UnauthenticatedError);
      expect(error).toMatchObject({ message });
    }
    expect(options.token).toHaveBeenCalledTimes(2);
    await expect(store.tail().next()).rejects.toMatchObject({ code: "unauthenticated", message });
    expect(options.fetch).not.toHaveBeenCalled();
  },
);

test.each(FAILING)(
  "on a device, a token function that %s: unauthorized, with its message, until it returns one",
  async (_, given, message) => {
    let isSignedIn = false;
    const options = settings(() => (isSignedIn ? "abc" : given()));
    const store = await openStore({ name: crypto.randomUUID(), sync: { ...options, webSocket: false } });
    await eventually(() =>
      expect(store.status).toMatchObject({ connection: "unauthorized", problem: { code: "unauthenticated", message } }),
    );
    await expect(store.sync()).rejects.toBeInstanceOf(UnauthenticatedError);
    expect(options.fetch).not.toHaveBeenCalled();
    isSignedIn = true;
    await store.sync();
    expect(store.status).toMatchObject({ connection: "online", problem: null });
    expect(new Headers(options.fetch.mock.calls[0]?.[1]?.headers).get("authorization")).toBe("Bearer abc");
    await store.close();
  },
);

test("a token that can't be fetched is no missing token: without a network, or if the app says so, the store is unavailable", async () => {
  const saying = settings(() => {
    throw new UnavailableError("The sign-in server does not answer.");
  });
  await expect(connectStore({ ...saying, retries: 0 }).head()).rejects.toMatchObject({
    code: "unavailable",
    message: "The sign-in server does not answer.",
  });
  vi.stubGlobal("navigator", { onLine: false });
  const offline = settings(() => Promise.reject(new TypeError("Failed to fetch")));
  await expect(connectStore({ ...offline, retries: 0 }).head()).rejects.toMatchObject({
    code: "unavailable",
    message: "`token` failed: Failed to fetch",
  });
});
