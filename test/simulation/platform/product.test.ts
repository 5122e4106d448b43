/** The client's own code runs on the stand-ins: what elects a tab, what tabs send each other, and the feed socket. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { beforeAll, expect, test } from "vitest";
import type { FeedSocket, Listener } from "../../../client/edge/feed-socket.ts";
import type { Tabs } from "../../../client/sync/tabs.ts";
import type { whileElected } from "../../../client/tools/elected.ts";
import type { newId } from "../../../client/tools/new-id.ts";
import type { whenIdle } from "../../../client/tools/when-idle.ts";
import { Random } from "../random.ts";
import { Channels } from "./broadcast-channel.ts";
import { cryptoOf } from "./crypto.ts";
import { timersOf } from "./date.ts";
import { Page } from "./page.ts";
import { inTask, TestWorld } from "./test-loop.ts";
import { LockManagers } from "./web-locks.ts";
import { type FarSide, webSocketOf } from "./web-socket.ts";

interface Product {
  readonly FeedSocket: typeof FeedSocket;
  readonly Tabs: typeof Tabs;
  readonly whileElected: typeof whileElected;
  readonly newId: typeof newId;
  readonly whenIdle: typeof whenIdle;
}

let bundle: string;

beforeAll(async () => {
  const contents = `
    export { FeedSocket } from "./client/edge/feed-socket.ts";
    export { Tabs } from "./client/sync/tabs.ts";
    export { whileElected } from "./client/tools/elected.ts";
    export { newId } from "./client/tools/new-id.ts";
    export { whenIdle } from "./client/tools/when-idle.ts";`;
  const resolveDir = fileURLToPath(new URL("../../..", import.meta.url));
  const stdin = { contents, resolveDir, loader: "js" } as const;
  const { outputFiles } = await build({ stdin, bundle: true, write: false, format: "iife", globalName: "product" });
  bundle = outputFiles[0]?.text ?? "";
});

class Device {
  readonly world = new TestWorld();
  readonly far: FarSide[] = [];
  readonly sent: unknown[] = [];
  readonly #locks = new LockManagers();
  readonly #channels = new Channels();
  #tabs = 0;

  openTab() {
    const loop = this.world.openTab();
    const { locks, end: endLocks } = this.#locks.openIn(loop);
    const { BroadcastChannel, end: endChannels } = this.#channels.openIn(loop);
    const page = new Page(loop, { locks });
    const connect = (...opened: unknown[]) => {
      this.sent.push(opened);
      const close = (code: number) => void this.sent.push(`close ${code}`);
      return { attach: (side: FarSide) => void this.far.push(side), send: (data: string) => void this.sent.push(data), close };
    };
    const globals = {
      ...page.globals(),
      ...timersOf(loop, { idle: () => 10_000 }),
      BroadcastChannel,
      WebSocket: webSocketOf(loop, connect),
      crypto: cryptoOf(new Random(++this.#tabs)),
    };
    const names = ["globalThis", ...Object.keys(globals)];
    const product: Product = new Function(...names, `${bundle}; return product;`)(globals, ...Object.values(globals));
    const kill = () => {
      loop.kill();
      endLocks();
      endChannels();
    };
    return { loop, page, product, kill };
  }
}

test("one tab at a time is elected, also when the elected one dies", () =>
  inTask(() => {
    const device = new Device();
    const log: string[] = [];
    const tabs = ["a", "b", "c"].map((name) => {
      const tab = device.openTab();
      const ending = new AbortController();
      const begin = () => {
        log.push(`${name} begins`);
        return () => void log.push(`${name} ends`);
      };
      void tab.product.whileElected("work", ending.signal, begin, () => undefined);
      return { ...tab, ending };
    });
    device.world.run(1_000);
    expect(log).toEqual(["a begins"]);
    tabs[1]?.ending.abort();
    tabs[0]?.kill();
    device.world.run(1_000);
    expect(log).toEqual(["a begins", "c begins"]);
    tabs[2]?.ending.abort();
    device.world.run();
    expect(log).toEqual(["a begins", "c begins", "c ends"]);
  }));

test("tabs hear each other until they are closed", () =>
  inTask(() => {
    const device = new Device();
    const heard: unknown[] = [];
    const [a, b] = [device.openTab(), device.openTab()];
    const [first, second] = [
      new a.product.Tabs("store", (message) => heard.push(["a", message])),
      new b.product.Tabs("store", (message) => heard.push(["b", message])),
    ];
    const call = a.product.newId();
    first.post({ kind: "called", call });
    second.post({ kind: "heard", call });
    device.world.run();
    second.close();
    second.post({ kind: "changed" });
    first.post({ kind: "changed" });
    device.world.run();
    expect(heard).toEqual([
      ["b", { kind: "called", call }],
      ["a", { kind: "heard", call }],
    ]);
  }));

test("idle work runs when its time is over", () =>
  inTask(() => {
    const device = new Device();
    const { product, loop } = device.openTab();
    const times: number[] = [];
    product.whenIdle(new AbortController().signal, async () => void times.push(loop.now));
    device.world.run(60_000);
    expect(times).toEqual([5_000]);
  }));

test("the feed socket pulls a page, drops a silent edge, and connects again when the device comes back online", () =>
  inTask(() => {
    const device = new Device();
    const { product, page } = device.openTab();
    const given: unknown[] = [];
    const listener: Listener = {
      isConnected: false,
      isDiverged: false,
      onSocket: () => undefined,
      give: (input) => void given.push(input.kind),
    };
    const edge = { url: "https://edge.example/v1/store", token: async () => "abc", timeout: 30_000 };
    const socket = new product.FeedSocket(listener, edge, new AbortController().signal);
    socket.listen({ request: 1, query: { after: 0 } });
    device.world.run();
    const opened = ["wss://edge.example/v1/store/feed", ["headwater.v1", "bearer.abc"]];
    expect(device.sent.splice(0)).toEqual([opened]);
    device.far[0]?.opened("headwater.v1");
    device.world.run();
    expect([listener.isConnected, device.sent.splice(0)]).toEqual([true, ['{"pull":{"after":0}}']]);
    // A ping after 20 seconds, and 10 more without an answer.
    device.world.run(30_000);
    expect([listener.isConnected, device.sent.splice(0)]).toEqual([false, ["ping", "close 1005"]]);
    page.goOffline();
    page.goOnline();
    device.world.run();
    expect(device.sent).toEqual([opened]);
    device.far[1]?.closed(1006, "");
    device.world.run(1_000);
    expect(device.sent).toEqual([opened, opened]);
  }));
