import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { createEdgeCall } from "../../../client/edge/edge-call.ts";
import { reasonOf } from "../../../client/edge/reason.ts";
import { connectStore } from "../../../client/http.ts";
import { restoreStatus } from "../../../shared/wire/restore.ts";
import { SELF_SIGNED } from "../../support/certificate.ts";
import { freePort } from "../../support/edge.ts";

async function portOf(server: Pick<Server, "listen" | "address" | "close" | "once">): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server as Server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

/** What a request to a store at this address fails with. */
async function failureAt(origin: string): Promise<unknown> {
  return connectStore({ url: `${origin}/v1/permits`, retries: 0 })
    .head()
    .catch((error: unknown) => error);
}

test.each<[string, () => Promise<string>, string | RegExp]>([
  ["a closed port", async () => `http://127.0.0.1:${await freePort()}`, "nothing accepts connections there (ECONNREFUSED)"],
  ["an unknown host", async () => "http://headwater.invalid", /^the host is unknown \((ENOTFOUND|EAI_AGAIN)\)$/],
  [
    "https to an http port",
    async () => `https://127.0.0.1:${await portOf(createHttpServer((_, response) => response.end("{}")))}`,
    /^it does not speak TLS, so the address may have to begin with http: \(\w+\)$/,
  ],
  [
    "http to an https port",
    async () => `http://127.0.0.1:${await portOf(createHttpsServer(SELF_SIGNED, (_, response) => response.end("{}")))}`,
    /if it speaks TLS, the address must begin with https: \(\w+\)$/,
  ],
  [
    "a certificate that is not trusted",
    async () => `https://127.0.0.1:${await portOf(createHttpsServer(SELF_SIGNED, (_, response) => response.end("{}")))}`,
    "its certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)",
  ],
])("the error of %s names the address and the reason", async (_, originOf, reason) => {
  const origin = await originOf();
  const error = await failureAt(origin);
  const [, found] = /^(?:.*) did not answer: (.*)\. Sending the request again is safe\.$/.exec((error as Error).message) ?? [];
  expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining(`${origin}/v1/permits did not answer: `) });
  expect(found).toEqual(typeof reason === "string" ? reason : expect.stringMatching(reason));
});

test("a server that never answers is named with the time that it had", async () => {
  const port = await portOf(createServer(() => undefined) as never);
  const call = createEdgeCall({ url: `http://127.0.0.1:${port}/v1/permits`, timeout: 50 });
  const message = `http://127.0.0.1:${port}/v1/permits did not answer: No answer came within 50 milliseconds. Sending the request again is safe.`;
  expect(await call("/restore", restoreStatus)).toMatchObject({ kind: "nothing", error: { message } });
});

test("the reason is found among several addresses, and what a browser does not tell is said to be unknown", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED ::1:8787"), { code: "ECONNREFUSED" });
  const several = new TypeError("fetch failed", { cause: new AggregateError([refused, refused]) });
  expect(reasonOf(several)).toBe("nothing accepts connections there (ECONNREFUSED)");
  for (const message of ["Failed to fetch", "NetworkError when attempting to fetch resource.", "Load failed"]) {
    expect(reasonOf(new TypeError(message))).toBe("the browser does not tell why; its console may");
  }
  expect(reasonOf(new TypeError("token is not defined"))).toBe("token is not defined");
  expect(reasonOf(Object.assign(new Error("Odd."), { code: "EODD" }))).toBe("Odd. (EODD)");
  expect(reasonOf("text")).toBe("text");
  expect(reasonOf(undefined)).toBe("undefined");
});
