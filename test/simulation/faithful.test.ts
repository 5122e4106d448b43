/**
 * Worlds are as good as the edge in them. Here the whole traffic of some worlds is played to workerd, and it must answer the same. So the
 * stand-in for Cloudflare's platform is compared with the platform, under whatever devices send.
 */
import { expect, test, vi } from "vitest";
import { BUGS } from "./bugs/index.ts";
import { addKinds } from "./faithful/kinds.ts";
import { faithfulParams } from "./faithful/params.ts";
import { type Played, play } from "./faithful/player.ts";
import { record } from "./faithful/record.ts";
import { bundleProduct } from "./platform/bundle.ts";

const WORLDS = 3;
/**
 * The first of the worlds' seeds, always the same: workerd runs in real time. In about one world in a hundred, two streams of a push come to the
 * log in another order there than in the world, where a request that was doubled overtook it; or a stream is read while it waits for positions,
 * which it may have by then on the other side. Set SEED in the environment to compare others.
 */
const FIRST = Number(process.env["SEED"] ?? 8);
/** What has to be among the answers. */
const KINDS = [
  ...["appended", "appended before", "push: committed", "push: duplicate", "push: conflict", "push: skipped"],
  ...["push: rejected event-id-reused", "push: rejected payload-too-large", "push: rejected invalid-request", "push: rejected forbidden"],
  ...["101", "204", "400 invalid-request", "401 unauthenticated", "403 forbidden", "404 stream-not-found", "404 invalid-request"],
  ...["409 version-conflict", "409 event-id-reused", "409 log-mismatch", "409 position-ahead", "413 payload-too-large", "503 unavailable"],
  ...["page", "empty page", "page with mark", "page with seen", "page with within", "page with category", "page with stream"],
  ...["page with type", "page with correlation", "page with since", "list of streams", "last list of streams"],
  ...["stream forwards", "stream backwards", "health", "openapi.json", "events of a stream"],
  ...["socket: page", "socket: renewed", "socket: pong", "socket: invalid-request", "socket: log-mismatch", "socket: position-ahead"],
  ...["socket: unauthenticated", "socket: forbidden"],
];

// Milliseconds: worlds are computed, and a busy machine takes its time.
vi.setConfig({ testTimeout: 200_000 });

test(`workerd answers the requests of ${WORLDS} worlds as their edges did`, async () => {
  const product = await bundleProduct();
  const kinds: Record<string, number> = {};
  const playing: Promise<readonly [seed: number, played: Played]>[] = [];
  for (let seed = FIRST; seed < FIRST + WORLDS; seed++) {
    const { recording } = await record(seed, product);
    addKinds(kinds, recording.items);
    // One edge answers while the next world is computed.
    await playing.at(-2);
    playing.push(play(recording.items, faithfulParams(seed).tooMany).then((played) => [seed, played] as const));
  }
  const all = await Promise.all(playing);
  const sum = (of: (played: Played) => number) => all.reduce((total, [, played]) => total + of(played), 0);
  const [exchanges, messages, restarts] = [
    sum((played) => played.exchanges),
    sum((played) => played.messages),
    sum((played) => played.restarts),
  ];
  console.log(`${exchanges} requests and ${messages} messages were compared, and stores were put back ${restarts} times.`);
  console.log(JSON.stringify(kinds));
  expect(all.flatMap(([seed, { comparison }]) => comparison.differences.map((line) => `SEED=${seed}: ${line}`))).toEqual([]);
  expect(KINDS.filter((kind) => kinds[kind] === undefined)).toEqual([]);
});

test("an edge with a bug answers otherwise than workerd", async () => {
  const bug = BUGS.find(({ name }) => name === "a page that skips events does not get past them");
  const { recording } = await record(1, await bundleProduct(bug?.patches));
  const { comparison } = await play(recording.items, faithfulParams(1).tooMany);
  expect(comparison.differences).not.toEqual([]);
});
