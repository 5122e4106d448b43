/**
 * The real log of data/permits.ndjson.gz as commands: over HTTP, and from a device that is offline. Both accept and refuse the same, for the same
 * reasons. `PERMITS=8577` takes all lines; otherwise it is the streams of what is refused, and some others.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { connectStore } from "../../../client/http.ts";
import { openMemoryEdge, openMemoryStore } from "../../../client/testing/index.ts";
import type { Activity } from "../../../demo/permits/activities.ts";
import { permits } from "../../../demo/permits/decider.ts";
import { createEdge } from "../../../worker/index.ts";

interface Line {
  readonly stream: string;
  readonly type: Activity;
}

const ALL: readonly Line[] = gunzipSync(readFileSync(new URL("../../data/permits.ndjson.gz", import.meta.url)))
  .toString()
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));
const MOST = Number(process.env["PERMITS"] ?? 500);
/** Of all lines. */
const REFUSED = 7;

/** What `decide` says of each line, on what it has accepted before. */
function refusalsOf(lines: readonly Line[]): (string | undefined)[] {
  const states = new Map<string, ReturnType<typeof permits.evolve>>();
  const context = { actor: null, occurredAt: "2026-01-31T09:30:00.000Z", commandId: "00000000-0000-4000-8000-000000000001" };
  return lines.map(({ stream, type }) => {
    const initial = typeof permits.initialState === "function" ? permits.initialState() : permits.initialState;
    const state = states.get(stream) ?? initial;
    try {
      const decided = [permits.decide({ activity: type }, state, context) ?? []].flat();
      states.set(
        stream,
        decided.reduce((before, event) => permits.evolve(before, event), state),
      );
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  });
}

function chosen(): readonly Line[] {
  if (MOST >= ALL.length) return ALL;
  const refused = refusalsOf(ALL);
  const streams = new Set(ALL.filter((_, i) => refused[i] !== undefined).map(({ stream }) => stream));
  for (const { stream } of ALL.slice(0, MOST)) streams.add(stream);
  return ALL.filter(({ stream }) => streams.has(stream));
}

async function open() {
  const edge = await openMemoryEdge(createEdge({ deciders: { Permit: permits } }));
  onTestFinished(() => edge.close());
  return edge;
}

test("over HTTP and from a device, the same is accepted, and the same is refused with the same sentence", {
  timeout: 600_000,
}, async () => {
  const lines = chosen();
  const expected = refusalsOf(lines);
  expect(expected.filter((refusal) => refusal !== undefined)).toHaveLength(REFUSED);
  const edge = await open();

  const { url, fetch } = edge.network().to("http");
  const http = connectStore({ url, fetch });
  const overHttp: (string | undefined)[] = [];
  for (const { stream, type } of lines) {
    overHttp.push(
      await http.handle(stream, permits, { activity: type }).then(
        () => undefined,
        (error: Error & { refusal?: { message: string } }) => error.refusal?.message ?? String(error),
      ),
    );
  }

  const device = await openMemoryStore({ deciders: [permits], sync: { ...edge.network().to("device"), automatic: false } });
  onTestFinished(() => device.close());
  const onDevice: (string | undefined)[] = [];
  for (const { stream, type } of lines) {
    onDevice.push(
      await device.handle(stream, permits, { activity: type }).then(
        () => undefined,
        (error: Error) => error.message,
      ),
    );
  }
  await device.sync();

  expect(overHttp).toEqual(expected);
  expect(onDevice).toEqual(expected);
  expect(device.status).toMatchObject({ pending: 0, conflicts: 0 });
  const accepted = lines.length - REFUSED;
  for (const store of ["http", "device"]) {
    expect(await (await edge.fetch(`/v1/${store}/health`)).json()).toMatchObject({ events: accepted, head: accepted });
  }
  console.log(`${lines.length} commands: ${accepted} accepted, ${REFUSED} refused, over HTTP and from a device`);
});
