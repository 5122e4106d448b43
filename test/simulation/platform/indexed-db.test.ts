/** The simulation's IndexedDB: its faults, tabs that freeze or die, machines that die, and upgrades that wait. */
import { describe, expect, test } from "vitest";
import { openStore } from "../../../client/index.ts";
import { describeEventStore } from "../../contract/event-store-contract.ts";
import { Disk } from "../indexed-db/disk.ts";
import { Random } from "../random.ts";
import { Device, NO_FAULTS, outcomeOf, read, realLoop, type Tab, write } from "./idb-ground.ts";

describeEventStore("the simulation's IndexedDB", () => {
  return openStore({ name: "contract", platform: new Disk(NO_FAULTS).openIn(realLoop()) });
});

describeEventStore("the simulation's IndexedDB, with latency", () => {
  const latencies = { read: 1, relaxed: 1, strict: 2, open: 1 };
  return openStore({ name: "contract", platform: new Disk({ ...NO_FAULTS, latency: (kind) => latencies[kind] }).openIn(realLoop()) });
});

/** A device, one tab of it, and its open database. */
async function begun(tabs = 1) {
  const device = new Device();
  const all = Array.from({ length: tabs }, () => device.tab());
  const dbs = [];
  for (const tab of all) {
    const opening = tab.open();
    await device.pass();
    dbs.push(await opening);
  }
  return { device, tabs: all, dbs, tab: all[0] as Tab, db: dbs[0] as (typeof dbs)[number] };
}

async function ended<T>(device: Device, promise: Promise<T>): Promise<unknown> {
  const outcome = outcomeOf(promise);
  await device.pass();
  return outcome();
}

/** What a new tab reads. */
async function stored(device: Device): Promise<unknown> {
  const opening = device.tab().open();
  await device.pass();
  return ended(device, read(await opening));
}

test.each(["strict", "relaxed"] as const)(
  "a tab hears of the end of a %s write before it gets what is read after it",
  async (durability) => {
    const { device, db } = await begun();
    device.latencies.read = 0;
    const seen: string[] = [];
    const tx = db.transaction(["notes"], "readwrite", { durability });
    void tx.objectStore("notes").put(1, "a");
    void tx.done.then(() => seen.push("written"));
    void read(db).then((notes) => seen.push(`read ${JSON.stringify(notes)}`));
    await device.pass();
    expect(seen).toEqual(["written", 'read ["a"]']);
  },
);

describe("faults", () => {
  test("abort-write: the requests succeed, the transaction fails, and nothing is stored", async () => {
    const { device, db } = await begun();
    device.faults.set("abort-write", 0);
    const tx = db.transaction(["notes"], "readwrite");
    const put = outcomeOf(tx.objectStore("notes").put(1, "a"));
    expect(await ended(device, tx.done)).toBe("UnknownError");
    expect(put()).toBe("a");
    expect(await stored(device)).toEqual([]);
    expect(device.disk.commits).toBe(1); // the upgrade's
  });

  test("no-room: a put fails, or the commit; deletes and reads succeed", async () => {
    const { device, db } = await begun();
    expect(await ended(device, write(db, "a"))).toBe(undefined);
    for (const question of [0, 1]) {
      device.faults.set("no-room", question);
      const tx = db.transaction(["notes"], "readwrite");
      const put = outcomeOf(tx.objectStore("notes").put(1, "b"));
      expect(await ended(device, tx.done)).toBe("QuotaExceededError");
      expect(put()).toBe(question === 0 ? "QuotaExceededError" : "b");
    }
    device.always.add("no-room");
    const tx = db.transaction(["notes"], "readwrite");
    void tx.objectStore("notes").delete("a");
    expect(await ended(device, tx.done)).toBe(undefined);
    expect(await ended(device, read(db))).toEqual([]);
  });

  test("lose-connection before the first answer: requests fail, the transaction reports nothing, and the connection is closed", async () => {
    const { device, tab } = await begun();
    const seen: string[] = [];
    const opening = tab.open(1, seen);
    await device.pass();
    const db = await opening;
    device.faults.set("lose-connection", 0);
    const tx = db.transaction(["notes"], "readwrite");
    const put = outcomeOf(tx.objectStore("notes").put(1, "a"));
    expect(await ended(device, tx.done)).toBe("pending");
    expect(put()).toBe("AbortError");
    expect(seen).toEqual(["terminated"]);
    expect(() => db.transaction(["notes"])).toThrow(expect.objectContaining({ name: "InvalidStateError" }));
    expect(await stored(device)).toEqual([]);
  });

  test("lose-connection aborts the transactions that run with UnknownError, and nothing of them is stored", async () => {
    const { device, db } = await begun();
    device.latencies.read = 0;
    device.faults.set("lose-connection", 1); // when the second transaction begins, the first one runs
    const tx = db.transaction(["notes"], "readwrite");
    const done = outcomeOf(tx.done);
    const puts: (() => unknown)[] = [];
    const putMany = async () => {
      for (const key of ["a", "b", "c", "d"]) {
        const put = tx.objectStore("notes").put(1, key);
        puts.push(outcomeOf(put));
        await put;
      }
    };
    const working = outcomeOf(putMany());
    const other = outcomeOf(db.transaction(["others"], "readonly").objectStore("others").count());
    await device.pass();
    expect([done(), working(), other()]).toEqual(["UnknownError", "AbortError", "AbortError"]);
    expect(puts.map((put) => put())).toEqual(["a", "AbortError"]);
    expect(await stored(device)).toEqual([]);
  });

  test("lose-connection after the commit: it is stored, though the transaction reports that it failed", async () => {
    const { device, db } = await begun();
    device.faults.set("lose-connection", 1);
    expect(await ended(device, write(db, "a"))).toBe("UnknownError");
    expect(await stored(device)).toEqual(["a"]);
  });

  test("fail-open: one open fails, and changes nothing", async () => {
    const device = new Device();
    device.faults.set("fail-open", 0);
    expect(await ended(device, device.tab().open())).toBe("UnknownError");
    expect(await ended(device, device.tab().platform.indexedDB.databases())).toEqual([]);
    expect(await stored(device)).toEqual([]);
  });
});

describe("tabs", () => {
  test("a frozen tab's transaction keeps its stores locked until the tab thaws", async () => {
    const { device, tabs, dbs } = await begun(2);
    const [frozen, other] = dbs.map((db, i) => write(db, `tab ${i}`));
    const outcomes = [outcomeOf(frozen as Promise<void>), outcomeOf(other as Promise<void>)];
    (tabs[0] as Tab).isFrozen = true;
    await device.pass(60_000);
    expect(outcomes.map((outcome) => outcome())).toEqual(["pending", "pending"]);
    (tabs[0] as Tab).isFrozen = false;
    await device.pass();
    expect(outcomes.map((outcome) => outcome())).toEqual([undefined, undefined]);
  });

  test("a tab that is gone frees its locks, and what it has not committed is undone", async () => {
    const { device, tab, dbs } = await begun(2);
    const [dead, other] = dbs.map((db, i) => outcomeOf(write(db, `tab ${i}`)));
    await device.pass(0); // the first one holds the store, and the other one waits for it
    tab.platform.end();
    await device.pass();
    expect([dead?.(), other?.()]).toEqual(["pending", undefined]);
    expect(await stored(device)).toEqual(["tab 1"]);
  });

  test("a commit stays, if the tab freezes or dies before its event", async () => {
    const { device, tab, dbs } = await begun(2);
    const dead = outcomeOf(write(dbs[0] as (typeof dbs)[number], "a", "a", "strict"));
    await device.pass(5); // committed; `complete` is due after 10 ms
    tab.isFrozen = true;
    expect(await ended(device, write(dbs[1] as (typeof dbs)[number], "b"))).toBe(undefined);
    tab.platform.end();
    await device.pass();
    expect(dead()).toBe("pending");
    expect(await stored(device)).toEqual(["a", "b"]);
  });

  test("a transaction is inactive as soon as its code awaits something else", async () => {
    const { device, tab, db } = await begun();
    const notes = db.transaction(["notes"], "readwrite").objectStore("notes");
    const late = async () => {
      await notes.get("a");
      await new Promise<void>((resolve) => device.post(tab, 1, resolve));
      await notes.put(1, "a");
    };
    expect(await ended(device, late())).toBe("TransactionInactiveError");
  });
});

describe("a machine that dies", () => {
  const crashed = async (seed: number, strict: boolean, wait: number) => {
    const { device, db } = await begun();
    for (let i = 0; i < 4; i++) await ended(device, write(db, `${i}`));
    if (strict) await ended(device, write(db, "strict", 1, "strict"));
    await ended(device, write(db, "t", 1));
    await device.pass(wait);
    const lost = device.disk.crash(new Random(seed));
    return { lost, keys: (await stored(device)) as string[] };
  };

  test("loses a suffix of the relaxed transactions", async () => {
    const all = ["0", "1", "2", "3", "t"];
    const counts = new Set<number>();
    for (let seed = 0; seed < 30; seed++) {
      const { lost, keys } = await crashed(seed, false, 0);
      expect(keys).toEqual(all.slice(0, all.length - lost));
      counts.add(lost);
    }
    expect(counts.size).toBe(6);
  });

  test("never loses what a strict transaction has secured, nor what is older than 30 seconds", async () => {
    for (let seed = 0; seed < 8; seed++) {
      expect((await crashed(seed, true, 0)).keys.slice(0, 5)).toEqual(["0", "1", "2", "3", "strict"]);
      expect((await crashed(seed, false, 30_000)).lost).toBe(0);
    }
  });

  test("may lose a strict transaction whose end was not due", async () => {
    const kept = new Set<unknown>();
    for (let seed = 0; seed < 8; seed++) {
      const { device, db } = await begun();
      void write(db, "a", 1, "strict");
      await device.pass(5);
      device.disk.crash(new Random(seed));
      kept.add(JSON.stringify(await stored(device)));
    }
    expect([...kept].sort()).toEqual(['["a"]', "[]"]);
  });
});

test("a number that is given as a key raises the next key that is assigned, unless the transaction is aborted", async () => {
  const device = new Device();
  const opening = device.tab().platform.indexedDB.open("counted");
  opening.onupgradeneeded = () => opening.result.createObjectStore("all", { autoIncrement: true });
  await device.pass();
  const keyAfter = async (...given: number[]) => {
    const all = opening.result.transaction(["all"], "readwrite").objectStore("all");
    for (const key of given) all.put(1, key);
    const add = all.add(1);
    await device.pass();
    return add.error?.name ?? add.result;
  };
  expect([await keyAfter(), await keyAfter(5.5), await keyAfter(3)]).toEqual([1, 6, 7]);
  device.faults.set("abort-write", 0);
  expect(await keyAfter(50)).toBe(51);
  expect(await keyAfter()).toBe(8);
  expect([await keyAfter(2 ** 53), await keyAfter()]).toEqual(["ConstraintError", 9]); // the first one is aborted
  expect(() =>
    opening.result
      .transaction("all", "readwrite")
      .objectStore("all")
      .put(() => 1),
  ).toThrow(DOMException);
});

describe("upgrades", () => {
  test("an old connection closes when it is asked, and then the upgrade runs", async () => {
    const { device } = await begun(0);
    const [old, newer]: string[][] = [[], []];
    await ended(device, device.tab().open(1, old));
    const opened = await ended(device, device.tab().open(2, newer));
    expect(opened).toMatchObject({ version: 2 });
    expect([old, newer]).toEqual([["blocking 2"], []]);
    expect(await ended(device, device.tab().open(1))).toBe("VersionError");
  });

  test("an old connection that stays open blocks it until its tab is gone", async () => {
    const { device } = await begun(0);
    const [old, newer]: string[][] = [[], []];
    const tab = device.tab();
    await ended(device, tab.open(1, old, false));
    const opening = outcomeOf(device.tab().open(2, newer));
    await device.pass();
    expect([opening(), old, newer]).toEqual(["pending", ["blocking 2"], ["blocked"]]);
    tab.platform.end();
    await device.pass();
    expect(opening()).toMatchObject({ version: 2 });
  });

  test("a frozen tab does not get to know: the upgrade waits, and `blocked` with it", async () => {
    const { device } = await begun(0);
    const [old, newer]: string[][] = [[], []];
    const tab = device.tab();
    await ended(device, tab.open(1, old));
    tab.isFrozen = true;
    const opening = outcomeOf(device.tab().open(2, newer));
    await device.pass(60_000);
    expect([opening(), old, newer]).toEqual(["pending", [], []]);
    tab.isFrozen = false;
    await device.pass();
    expect(opening()).toMatchObject({ version: 2 });
  });

  test("an upgrade whose tab dies is undone, and the next tab does it", async () => {
    const { device } = await begun(0);
    const tab = device.tab();
    const first = outcomeOf(tab.open());
    const second = outcomeOf(device.tab().open());
    await device.pass(1);
    tab.platform.end();
    await device.pass();
    expect(first()).toBe("pending");
    expect(second()).toMatchObject({ version: 1, objectStoreNames: ["notes", "others"] });
  });

  test("a deletion asks the open connections to close, and deletes everything", async () => {
    const { device } = await begun(0);
    const seen: string[] = [];
    const first = device.tab();
    const opening = first.open(1, seen);
    await device.pass();
    await ended(device, write(await opening, "a"));
    device.tab().platform.indexedDB.deleteDatabase("db");
    await device.pass();
    expect(seen).toEqual(["blocking null"]);
    expect(await stored(device)).toEqual([]);
  });
});
