/** `headwater handle`, and `connectStore().handle`, before a real edge that decides. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectStore } from "../../client/http.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { stock } from "../support/shelf.ts";
import { headwater } from "./run.ts";

let edge: EdgeProcess;
beforeAll(async () => {
  edge = await startEdge({ AUTH: "open" }, "test/edge/guarded/worker.ts");
});
afterAll(() => edge.stop());

const newUrl = () => `${edge.url}/v1/${crypto.randomUUID()}`;
const handle = (url: string, command: string, ...more: string[]) =>
  headwater(["handle", "Stock-1", command, "--url", url, ...(more.includes("--decider") ? [] : ["--decider", "stock@1"]), ...more]);

test("a command is decided: its events are printed, and once only if it is given twice", async () => {
  const url = newUrl();
  const id = crypto.randomUUID();
  const first = await handle(url, '{"fill":3}', "--id", id);
  expect(first).toMatchObject({ exitCode: 0, stderr: "" });
  const [line = "", said] = first.stdout.split("\n");
  expect(JSON.parse(line)).toMatchObject({ type: "StockFilled", data: { units: 3 }, metadata: { $commandId: id } });
  expect(said).toBe("Stock-1 is at version 1.");
  expect((await handle(url, '{"fill":3}', "--id", id)).stdout).toBe(`${line}\nStock-1 is at version 1. The command was decided before.\n`);
  expect((await handle(url, '{"take":0}')).stdout).toBe("The command changes nothing. Stock-1 is at version 1.\n");
});

test("a refusal is the app's own sentence, with its data; a mistake says what to do", async () => {
  const url = newUrl();
  expect(await handle(url, '{"take":1}')).toMatchObject({
    exitCode: 1,
    stdout: "",
    stderr: 'headwater: The command was refused. OutOfStock: Only 0 are left.\n  {"left":0}\n',
  });
  for (const [command, more, sentence] of [
    ["{", [], "The command must be JSON"],
    ["{}", ["--decider", "stock"], "--decider must be a name and a version, e.g. stock@1"],
    ['{"fill":1}', ["--decider", "stock@2"], "(decider-version)"],
    ['{"fill":1}', ["--id", "seven"], "The id of a command must be a UUID"],
  ] as const) {
    const { exitCode, stderr } = await handle(url, command, ...more);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining(sentence)]);
  }
});

test("a script gets the events, the app's refusal as an error, and the same answer when it gives a command again after the edge was killed", async () => {
  const store = connectStore({ url: newUrl() });
  const id = crypto.randomUUID();
  const filled = await store.handle("Stock-1", stock, { fill: 1 }, { id });
  expect(filled).toMatchObject({ streamId: "Stock-1", firstVersion: 1, version: 1, position: 1, duplicate: false });
  await expect(store.handle("Stock-1", stock, { take: 2 })).rejects.toMatchObject({
    code: "command-refused",
    message: "Only 1 are left.",
    refusal: { name: "OutOfStock", message: "Only 1 are left.", data: { left: 1 } },
    details: { streamId: "Stock-1" },
  });
  await expect(store.handle("Other-1", stock, { fill: 1 })).rejects.toMatchObject({ code: "invalid-request", field: "streamId" });
  await edge.kill();
  await edge.start();
  expect(await store.handle("Stock-1", stock, { fill: 9 }, { id })).toEqual({ ...filled, duplicate: true });
});
