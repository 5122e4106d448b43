/** `delete` at a real edge that knows its callers. `test/worker/testing/deletion.test.ts` breaks it off at each of its requests. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { deleteStore } from "../../cli/delete.ts";
import { connectStore, type EdgeStore } from "../../client/http.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { headwater } from "./run.ts";

let edge: EdgeProcess;
let operator: string;
let writer: string;

beforeAll(async () => {
  edge = await startEdge({ AUTH: "jwt", JWT_SECRET: SECRET });
  operator = await signToken({ sub: "operator", can: ["admin"] });
  writer = await signToken({ sub: "ann" });
});

afterAll(() => edge.stop());

interface Named {
  readonly name: string;
  readonly url: string;
  readonly store: EdgeStore;
}

/** A store with events in so many streams, as its operator and its writer see it. */
async function filled(streams = 3): Promise<Named & { readonly atEdge: EdgeStore }> {
  const name = crypto.randomUUID();
  const url = `${edge.url}/v1/${name}`;
  const atEdge = connectStore({ url, token: () => writer });
  for (let from = 0; from < streams; from += 20) {
    const ids = Array.from({ length: Math.min(20, streams - from) }, (_, i) => `A-${from + i}`);
    await atEdge.push(ids.map((id) => atEdge.prepare(id, [{ type: "Noted", data: id }])));
  }
  return { name, url, store: connectStore({ url, token: () => operator }), atEdge };
}

const run = (...args: string[]) => headwater(["delete", ...args], undefined, { HEADWATER_TOKEN: operator });

test.each([[[]], [["--dry-run"]], [["--dry-run", "--yes", "permits"]]])("a dry run reports and deletes nothing: %j", async (args) => {
  const { name, url, atEdge } = await filled();
  const { log } = await atEdge.health();
  const { exitCode, stdout, stderr } = await run("--url", url, ...args);
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(stdout).toBe(
    `${name} would lose 3 events in 3 streams, and 0 subscriptions. The log's id is ${log}.\nThis was a dry run: to delete the store for ever, run it with --yes ${name}\n`,
  );
  expect(await atEdge.head()).toBe(3);
});

test("--yes with the store's name deletes it, shows how far it is, and can be run again", async () => {
  const { name, url, atEdge } = await filled(60);
  const deleted = await run("--url", url, "--yes", name);
  expect(deleted).toEqual({
    exitCode: 0,
    stdout: `${name} is deleted: 60 events in 60 streams, and 0 subscriptions. The name stays deleted.\n`,
    stderr: "streams deleted: 60\n",
  });
  expect(await run("--url", url, "--yes", name)).toEqual({
    exitCode: 0,
    stdout: `${name} is deleted. The name stays deleted.\n`,
    stderr: "",
  });
  await expect(atEdge.appendToStream("A-1", [{ type: "Noted", data: 1 }])).rejects.toMatchObject({ code: "store-deleted" });
  const exported = await headwater(["export", "--url", url], undefined, { HEADWATER_TOKEN: writer });
  expect(exported).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^headwater: .*was deleted.*\(store-deleted\)\n$/) });
});

test("--yes with another name deletes nothing", async () => {
  const { name, url, atEdge } = await filled();
  const { exitCode, stdout, stderr } = await run("--url", url, "--yes", "permits");
  expect([exitCode, stdout, stderr]).toEqual([1, "", `headwater: The store is ${name}, and not permits: nothing was deleted.\n`]);
  expect(await atEdge.head()).toBe(3);
});

test("who may not administer the store is refused", async () => {
  const { name, url, atEdge } = await filled();
  for (const args of [[], ["--yes", name]]) {
    const refused = await headwater(["delete", "--url", url, ...args], undefined, { HEADWATER_TOKEN: writer });
    expect(refused).toMatchObject({ exitCode: 1, stdout: "", stderr: expect.stringContaining("(forbidden)") });
  }
  expect(await atEdge.head()).toBe(3);
});

test("on a terminal it asks for the name, and only the name itself confirms", async () => {
  const { name, store, atEdge } = await filled();
  const questions: string[] = [];
  const answering = (answer: string) => async (question: string) => {
    questions.push(question);
    return answer;
  };
  for (const wrong of ["", "yes", name.toUpperCase()]) {
    await expect(deleteStore(store, name, {}, answering(wrong))).rejects.toThrow("nothing was deleted");
  }
  expect(await atEdge.head()).toBe(3);
  expect(await deleteStore(store, name, {}, answering(name))).toContain(`${name} is deleted: 3 events`);
  expect(questions).toEqual(Array.from({ length: 4 }, () => "There is no way back. Write the store's name to delete it: "));
  // Nobody is asked for what is deleted already.
  expect(await deleteStore(store, name, {}, answering("no"))).toBe(`${name} is deleted. The name stays deleted.`);
});
