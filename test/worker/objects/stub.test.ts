/** A fact of workerd on which the edge and its stand-in rely: a stub that has failed does not recover. */
import { abortAllDurableObjects, env } from "cloudflare:test";
import { expect, test } from "vitest";

test("a stub whose object was reset fails from then on, and another one calls the object", async () => {
  const name = `stub/${crypto.randomUUID()}`;
  const read = async (stub: ReturnType<typeof env.STREAMS.getByName>) =>
    await stub.read(name, { from: 1, limit: 1, direction: "forwards" });
  const stub = env.STREAMS.getByName(name);
  expect(await read(stub)).toHaveProperty("refused");
  await abortAllDurableObjects();
  for (let i = 0; i < 2; i++) await expect(read(stub)).rejects.toThrow("abortAllDurableObjects");
  expect(await read(env.STREAMS.getByName(name))).toHaveProperty("refused");
});
