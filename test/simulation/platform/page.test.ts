import { expect, test } from "vitest";
import { Page } from "./page.ts";
import { inTask, outcomeOf, TestWorld } from "./test-loop.ts";
import { LockManagers } from "./web-locks.ts";

test("the tab sees that it is hidden and shown, by a task and an event each", () =>
  inTask(() => {
    const world = new TestWorld();
    const tab = world.openTab();
    const page = new Page(tab);
    const { document } = page.globals();
    const log: unknown[] = [];
    document.addEventListener("visibilitychange", () => void log.push([document.hidden, document.visibilityState]));
    page.hide();
    expect(document.hidden).toBe(false);
    world.run();
    page.hide();
    world.run();
    expect(log).toEqual([[true, "hidden"]]);
    tab.freeze();
    page.show();
    page.hide();
    world.run();
    expect(log).toHaveLength(1);
    tab.thaw();
    world.run();
    expect(log.slice(1)).toEqual([
      [false, "visible"],
      [true, "hidden"],
    ]);
  }));

test("the tab sees that the device goes offline and online, until it stops listening", () =>
  inTask(() => {
    const world = new TestWorld();
    const page = new Page(world.openTab());
    const { navigator, addEventListener, removeEventListener } = page.globals();
    const log: unknown[] = [];
    const ending = new AbortController();
    const listen = ({ type }: Event) => void log.push([type, navigator.onLine]);
    addEventListener("online", listen, { signal: ending.signal });
    addEventListener("offline", listen);
    expect(navigator.onLine).toBe(true);
    page.goOffline();
    page.goOnline();
    page.goOnline();
    world.run();
    expect(log.splice(0)).toEqual([
      ["offline", false],
      ["online", true],
    ]);
    ending.abort();
    removeEventListener("offline", listen);
    page.goOffline();
    page.goOnline();
    world.run();
    expect(log).toEqual([]);
  }));

test("storage is persisted when the person has agreed", () =>
  inTask(() => {
    const world = new TestWorld();
    const persistence = { isPersisted: false, isGranted: true, answersAfter: 5_000 };
    const { navigator } = new Page(world.openTab(), { persistence }).globals();
    const before = outcomeOf(navigator.storage.persisted());
    const asked = outcomeOf(navigator.storage.persist());
    world.run(4_999);
    expect([before, asked]).toEqual([{ resolved: false }, {}]);
    world.run(1);
    const after = outcomeOf(navigator.storage.persisted());
    world.run();
    expect([asked, after]).toEqual([{ resolved: true }, { resolved: true }]);
  }));

test("a browser refuses to persist, or lacks parts", () =>
  inTask(() => {
    const world = new TestWorld();
    const tab = world.openTab();
    const persistence = { isPersisted: false, isGranted: false, answersAfter: 0 };
    const refused = outcomeOf(new Page(tab, { persistence }).globals().navigator.storage.persist());
    world.run();
    expect(refused).toEqual({ resolved: false });
    const { navigator } = new Page(tab).globals();
    expect(["locks" in navigator, "storage" in navigator]).toEqual([false, false]);
    const { locks } = new LockManagers().openIn(tab);
    expect(new Page(tab, { locks }).globals().navigator.locks).toBe(locks);
  }));
