/** A tab's part in sync, when another tab takes the lead. */
import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { Database } from "../../../client/storage/database.ts";
import { readReplica } from "../../../client/storage/device-log.ts";
import { planSync } from "../../../client/store-options.ts";
import { StatusBoard } from "../../../client/sync/status.ts";
import { Syncer, type SyncerOptions } from "../../../client/sync/syncer.ts";
import type { TabMessage } from "../../../client/sync/tabs.ts";
import { parkUndecided } from "../../../shared/device/resolution.ts";
import { DEFAULT_LIMITS } from "../../../shared/limits.ts";
import type { FeedPage } from "../../../shared/wire/wire.ts";
import { eventually } from "../../support/eventually.ts";

const EMPTY: FeedPage = { log: crypto.randomUUID(), position: 0, head: 0, events: [] };

/** A device whose tabs reach the edge each in its own way. */
function device() {
  const name = crypto.randomUUID();
  const ending = new AbortController();
  const databases: Database[] = [];
  const tab = (send: typeof fetch, rules: SyncerOptions["rules"]) => {
    const database = new Database(name, globalThis, { authority: "edge" }, { onEnded: () => undefined, onReopened: () => undefined });
    databases.push(database);
    const board = new StatusBoard("offline");
    const url = "http://edge.test/v1/store";
    const syncer = new Syncer({
      name,
      database,
      ...planSync({ url, fetch: send }, DEFAULT_LIMITS),
      rules,
      board,
      ending: ending.signal,
      refresh: async () => undefined,
      follow: () => database.run(readReplica),
      onWritten: () => undefined,
    });
    return { syncer, board };
  };
  const heard: TabMessage[] = [];
  const channel = new BroadcastChannel(`headwater:${name}`);
  channel.onmessage = ({ data }: MessageEvent<TabMessage>) => heard.push(data);
  /** The lock is taken from the tab that leads, and the next candidate gets it. */
  const depose = () => navigator.locks.request(`headwater:${name}`, { steal: true }, () => undefined);
  const isAwaited = async () => (await navigator.locks.query()).pending?.some((lock) => lock.name === `headwater:${name}`);
  const close = async (...syncers: Syncer[]) => {
    ending.abort();
    channel.close();
    await Promise.all(syncers.map((syncer) => syncer.idle()));
    await Promise.all(databases.map((database) => database.close()));
  };
  return { tab, heard, depose, isAwaited, close };
}

test("a tab that has lost the lead shows the connection of the tab that leads now, also if it was still at work when that one changed", async () => {
  const { tab, heard, depose, isAwaited, close } = device();
  const writing = Promise.withResolvers<void>();
  const rules: SyncerOptions["rules"] = async () => ({ resolve: parkUndecided, durability: "relaxed" });
  let loads = 0;
  const slowRules: SyncerOptions["rules"] = () => (++loads === 1 ? rules() : writing.promise.then(rules));
  const one = tab(async () => Response.json(EMPTY), slowRules);
  one.syncer.start();
  await eventually(() => expect(one.board.current.connection).toBe("online"));
  // The other tab does not try again within the test: nothing else than a question makes it send its connection.
  const other = tab(async () => new Response("", { status: 503, headers: { "retry-after": "3600" } }), rules);
  other.syncer.start();
  await eventually(async () => expect(await isAwaited()).toBe(true));
  await depose();
  await eventually(() =>
    expect(heard).toContainEqual(expect.objectContaining({ link: { connection: "offline", acknowledged: 0, progress: null } })),
  );
  expect(one.board.current.connection).toBe("online");
  writing.resolve();
  await eventually(() => expect(one.board.current).toMatchObject({ connection: "offline", problem: { code: "unavailable" } }));
  expect(other.board.current.connection).toBe("offline");
  await close(one.syncer, other.syncer);
});

const RULES: SyncerOptions["rules"] = async () => ({ resolve: parkUndecided, durability: "relaxed" });

test("a call of a tab that loses the lead while its term ends for another reason is done by the tab that leads next", async () => {
  const { tab, depose, isAwaited, close } = device();
  const answering = Promise.withResolvers<void>();
  const one = tab(() => answering.promise.then(() => Response.json(EMPTY)), RULES);
  const other = tab(async () => Response.json(EMPTY), RULES);
  one.syncer.start();
  const called = one.syncer.sync();
  await eventually(() => expect(one.board.current.connection).toBe("connecting"));
  other.syncer.start();
  await eventually(async () => expect(await isAwaited()).toBe(true));
  await one.syncer.redirected(true);
  await depose();
  answering.resolve();
  await called;
  await close(one.syncer, other.syncer);
});

test("a call of a tab that has lost the lead before it could begin is done by the tab that leads next", async () => {
  const { tab, depose, isAwaited, close } = device();
  const loading = Promise.withResolvers<void>();
  const one = tab(
    async () => Response.json(EMPTY),
    () => loading.promise.then(RULES),
  );
  const other = tab(async () => Response.json(EMPTY), RULES);
  one.syncer.start();
  const called = one.syncer.sync();
  other.syncer.start();
  await eventually(async () => expect(await isAwaited()).toBe(true));
  await depose();
  await called;
  loading.resolve();
  await close(one.syncer, other.syncer);
});
