import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Channels, type Transit } from "./broadcast-channel.ts";
import { inTask, TestWorld } from "./test-loop.ts";

function twoTabs(transit?: Transit) {
  const world = new TestWorld();
  const channels = new Channels(transit);
  const [a, b] = [world.openTab(), world.openTab()];
  return { world, a, b, inA: channels.openIn(a), inB: channels.openIn(b) };
}

/** What a channel gets from now on. */
function heardBy(channel: BroadcastChannel): unknown[] {
  const heard: unknown[] = [];
  channel.onmessage = ({ data }) => void heard.push(data);
  return heard;
}

test("a message goes to every other channel of its name, in order, and not to its sender", () =>
  inTask(() => {
    const { world, inA, inB } = twoTabs();
    const sender = new inA.BroadcastChannel("x");
    const others = [new inA.BroadcastChannel("x"), new inB.BroadcastChannel("x"), new inB.BroadcastChannel("y")];
    const [own, ...heard] = [sender, ...others].map(heardBy);
    sender.postMessage(1);
    sender.postMessage({ two: [2, null, "2"] });
    expect(heard).toEqual([[], [], []]);
    world.run();
    expect(own).toEqual([]);
    expect(heard).toEqual([[1, { two: [2, null, "2"] }], [1, { two: [2, null, "2"] }], []]);
  }));

test("each receiver gets a copy of the message as it was when it was posted", () =>
  inTask(() => {
    const { world, inA, inB } = twoTabs();
    const sender = new inA.BroadcastChannel("x");
    const heard = [new inB.BroadcastChannel("x"), new inB.BroadcastChannel("x")].map(heardBy);
    const message = { list: [1], date: new Date(5), map: new Map([[1, 2]]) };
    const plain = { list: [1] };
    sender.postMessage(message);
    sender.postMessage(plain);
    message.list.push(2);
    plain.list.push(2);
    world.run();
    const [[first, second] = [], [third] = []] = heard;
    expect(first).toEqual({ list: [1], date: new Date(5), map: new Map([[1, 2]]) });
    expect(second).toEqual({ list: [1] });
    expect(third).toEqual(first);
    expect(third).not.toBe(first);
  }));

test("a key is copied as a key, whatever its name is", () =>
  inTask(() => {
    const { world, inA, inB } = twoTabs();
    const heard = heardBy(new inB.BroadcastChannel("x"));
    new inA.BroadcastChannel("x").postMessage(JSON.parse('{"__proto__":{"a":1},"constructor":2}'));
    world.run();
    expect(heard.map((each) => JSON.stringify(each))).toEqual(['{"__proto__":{"a":1},"constructor":2}']);
  }));

test("a frozen tab gets its messages when it thaws, a dead one never", () =>
  inTask(() => {
    const { world, a, b, inA, inB } = twoTabs();
    const sender = new inA.BroadcastChannel("x");
    const heard = heardBy(new inB.BroadcastChannel("x"));
    b.freeze();
    sender.postMessage(1);
    sender.postMessage(2);
    world.run(1_000);
    expect(heard).toEqual([]);
    b.thaw();
    world.run();
    expect(heard).toEqual([1, 2]);
    b.kill();
    inB.end();
    sender.postMessage(3);
    world.run();
    expect(heard).toEqual([1, 2]);
    const late = new inB.BroadcastChannel("x");
    expect([late.name, a.now]).toEqual(["x", 1_000]);
  }));

test("a message may be late or lost, but the order between two tabs is kept", () =>
  inTask(() => {
    const times: (number | undefined)[] = [50, undefined, 10, 0];
    const { world, inA, inB } = twoTabs(() => times.shift());
    const sender = new inA.BroadcastChannel("x");
    const heard = heardBy(new inB.BroadcastChannel("x"));
    for (const each of [1, 2, 3]) sender.postMessage(each);
    world.run(49);
    expect(heard).toEqual([]);
    world.run(1);
    expect(heard).toEqual([1, 3]);
    sender.postMessage(4);
    world.run();
    expect(heard).toEqual([1, 3, 4]);
  }));

test("a listener that throws stops no other one, and its error is a task's", () =>
  inTask(() => {
    const { world, inA, inB } = twoTabs();
    const receiver = new inB.BroadcastChannel("x");
    receiver.onmessage = () => {
      throw new RangeError("of a listener");
    };
    const heard: unknown[] = [];
    receiver.addEventListener("message", ({ data }) => void heard.push(data));
    new inA.BroadcastChannel("x").postMessage(1);
    world.run();
    expect(heard).toEqual([1]);
    expect(world.errors).toEqual([new RangeError("of a listener")]);
  }));

/** What can be compared with Node's own channels. `arrive` lets messages arrive. */
async function scenario(Channel: typeof BroadcastChannel, arrive: () => Promise<void>): Promise<unknown[]> {
  const log: unknown[] = [];
  const attempt = (part: string, act: () => void) => {
    try {
      act();
      log.push(part);
    } catch (error) {
      log.push(`${part}: ${error instanceof DOMException} ${error instanceof Error ? error.name : error}`);
    }
  };
  const [sender, first, second] = [new Channel("scenario"), new Channel("scenario"), new Channel("scenario")];
  const ending = new AbortController();
  const added = ({ data }: MessageEvent) => void log.push(["first, added", data]);
  first.addEventListener("message", added);
  first.addEventListener("message", added);
  first.addEventListener("message", ({ data }) => void log.push(["first, once", data]), { once: true });
  first.addEventListener("message", ({ data }) => void log.push(["first, with a signal", data]), { signal: ending.signal });
  first.onmessage = ({ data, type }) => void log.push(["first, replaced", data, type]);
  first.onmessage = ({ data, type }) => void log.push(["first, on", data, type]);
  const holes = [1, 2, 3];
  delete holes[1];
  for (const message of [1, { a: [1, { b: null }], c: undefined }, new Date(7), new Set(["x"]), holes, new RangeError("cloned")]) {
    sender.postMessage(message);
    await arrive();
  }
  ending.abort();
  first.removeEventListener("message", added);
  sender.postMessage(2);
  await arrive();
  first.onmessage = null;
  second.onmessage = ({ data }) => void log.push(["second", data]);
  const itself: { self?: unknown } = {};
  itself.self = itself;
  attempt("a cycle", () => sender.postMessage(itself));
  attempt("a function", () => sender.postMessage({ call: () => 1 }));
  attempt("a symbol", () => sender.postMessage(Symbol("s")));
  await arrive();
  sender.close();
  sender.close();
  attempt("closed", () => sender.postMessage(3));
  second.close();
  first.close();
  await arrive();
  return [...log, sender.name, sender.onmessage, second instanceof Channel];
}

test("everything that Node's own channels can show is the same", async () => {
  const real = await scenario(BroadcastChannel, async () => {
    for (let times = 0; times < 20; times++) await turn();
  });
  const { world, inA } = twoTabs();
  const standIn = await scenario(inA.BroadcastChannel, () => inTask(() => world.run()));
  expect(standIn).toEqual(real);
});
