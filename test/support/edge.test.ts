/** The edges that tests start. */
import { once } from "node:events";
import { createServer } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { startEdge } from "./edge.ts";

test("an edge whose port another server has taken does not start, though that server answers", async () => {
  const edge = await startEdge();
  onTestFinished(() => edge.stop());
  await edge.kill();
  const other = createServer((_, response) => response.end("{}")).listen(Number(new URL(edge.url).port), "127.0.0.1");
  await once(other, "listening");
  await expect(edge.start()).rejects.toThrow("Address already in use");
  other.close();
  other.closeAllConnections();
  await once(other, "close");
  await edge.start();
  expect((await fetch(`${edge.url}/health`)).status).toBe(200);
});
