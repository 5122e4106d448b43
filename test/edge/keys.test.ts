/** Keys at an address, at a real edge: a fetch belongs to the request that began it, and others wait for it. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { expect, onTestFinished, test } from "vitest";
import { startEdge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";

const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
const JWKS = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "ours", alg: "ES256" }] });

function sign(): Promise<string> {
  const grants = [{ store: "*", streams: ["*"], can: ["read"] }];
  const exp = Math.floor(Date.now() / 1000) + 600;
  return new SignJWT({ sub: "ann", exp, headwater: grants }).setProtectedHeader({ alg: "ES256", kid: "ours" }).sign(privateKey);
}

/** An edge, and the address of its keys, which answers when the test says so. */
async function openEdge() {
  const asked: ServerResponse[] = [];
  const server = createServer((_, response) => void asked.push(response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const edge = await startEdge({ JWT_JWKS: `http://127.0.0.1:${address.port}/keys.json` });
  onTestFinished(async () => {
    await edge.stop();
    server.closeAllConnections();
    server.close();
  });
  const authorization = `Bearer ${await sign()}`;
  const call = async (signal?: AbortSignal) => {
    const response = await fetch(`${edge.url}/v1/permits/feed`, {
      headers: { authorization },
      ...(signal === undefined ? {} : { signal }),
    });
    await response.text();
    return { status: response.status, retryAfter: response.headers.get("retry-after") };
  };
  return { asked, call };
}

test("requests that come while the keys are fetched wait for that fetch, which another request began", async () => {
  const { asked, call } = await openEdge();
  const answers = Array.from({ length: 8 }, () => call());
  await eventually(() => expect(asked).toHaveLength(1));
  answers.push(...Array.from({ length: 8 }, () => call()));
  asked[0]?.end(JWKS);
  for (const { status } of await Promise.all(answers)) expect(status).toBe(200);
  expect(asked).toHaveLength(1);
});

test("a fetch that hangs holds up nobody for longer than it may take, also if the request that began it is cancelled", async () => {
  const { asked, call } = await openEdge();
  const cancelled = new AbortController();
  const gone = call(cancelled.signal).catch(() => "gone");
  await eventually(() => expect(asked).toHaveLength(1));
  const waiting = call();
  cancelled.abort();
  expect(await gone).toBe("gone");
  // Who waited for it is told when to come again. Nobody sends another one before that.
  const { status, retryAfter } = await waiting;
  expect([status, Number(retryAfter) > 0]).toEqual([503, true]);
  expect(asked).toHaveLength(1);
});
