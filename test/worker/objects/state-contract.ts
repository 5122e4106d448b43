/** What the edge relies on in an object's state. The real platform and the stand-in for it run the same tests. */
import { describe, expect, test } from "vitest";
import { webSocketPair } from "../../../worker/objects/platform.ts";

/** Runs `work` in an object of its own. */
export type RunInObject = <T>(work: (state: DurableObjectState) => T | Promise<T>) => Promise<T>;

export function describeState(name: string, runIn: RunInObject): void {
  describe(name, () => {
    test("keys are listed in their order, from, after and up to a key, by prefix, in both directions, up to a limit", async () => {
      const lists: SyncKvListOptions[] = [
        {},
        { reverse: true },
        { start: "a/1" },
        { start: "a/1", end: "b" },
        { start: "a/15", end: "a/2", reverse: true },
        { startAfter: "a/1", limit: 2 },
        { prefix: "a/" },
        { prefix: "a/", reverse: true, limit: 2 },
        { prefix: "a/", start: "a/2" },
        { prefix: "a/", end: "a/2" },
        { end: "b", reverse: true, limit: 1 },
        { prefix: "x" },
      ];
      const seen = await runIn(({ storage: { kv } }) => {
        for (const key of ["b", "a/2", "a", "a/1", "c", "a/10"]) kv.put(key, key);
        return lists.map((options) => [...kv.list<string>(options)].map(([key]) => key).join(" "));
      });
      expect(seen).toEqual([
        "a a/1 a/10 a/2 b c",
        "c b a/2 a/10 a/1 a",
        "a/1 a/10 a/2 b c",
        "a/1 a/10 a/2",
        "",
        "a/10 a/2",
        "a/1 a/10 a/2",
        "a/2 a/10",
        "a/2",
        "a/1 a/10",
        "a/2",
        "",
      ]);
    });

    test("deleting all leaves nothing of keys, tables and the alarm, and what is written afterwards stays", async () => {
      const left = await runIn(async ({ storage }) => {
        storage.kv.put("a", 1);
        storage.sql.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
        await storage.setAlarm(Date.now() + 60_000);
        await storage.deleteAlarm();
        await storage.deleteAll();
        const keys = [...storage.kv.list()];
        const tables = storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 't'").toArray();
        storage.kv.put("b", 2);
        return [keys, tables, await storage.getAlarm(), [...storage.kv.list()]];
      });
      expect(left).toEqual([[], [], null, [["b", 2]]]);
    });

    test("values are clones, on their way in and out", async () => {
      const seen = await runIn(({ storage: { kv } }) => {
        const value = { list: [1], map: new Map([["a", new Date(0)]]), bytes: new Uint8Array([1, 2]), nothing: undefined };
        kv.put("a", value);
        value.list.push(2);
        kv.get<typeof value>("a")?.list.push(3);
        const read = kv.get<typeof value>("a");
        return [
          read?.list,
          read?.map.get("a")?.getTime(),
          [...(read?.bytes ?? [])],
          kv.get("b") === undefined,
          kv.delete("a"),
          kv.delete("a"),
        ];
      });
      expect(seen).toEqual([[1], 0, [1, 2], true, true, false]);
      await expect(runIn(({ storage: { kv } }) => kv.put("a", () => 1))).rejects.toThrow("could not be cloned");
    });

    test("SQL takes values, and several statements without any; a cursor returns its rows in each way", async () => {
      const seen = await runIn(({ storage: { sql } }) => {
        sql.exec(
          "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT, n REAL); CREATE INDEX t_text ON t (text); INSERT INTO t VALUES (1, 'a;b', 0.5)",
        );
        sql.exec("INSERT INTO t VALUES (?, ?, ?), (3, ?, NULL)", 2, "ä", 7, "c");
        const returned = sql.exec("INSERT INTO t (text) VALUES ('d') RETURNING id").toArray();
        const walked: unknown[] = [];
        for (const { id } of sql.exec<{ id: number }>("SELECT id FROM t ORDER BY id DESC")) {
          walked.push(id);
          if (id === 3) break;
        }
        const numbered = sql.exec("SELECT id FROM t WHERE id > ?1 AND id < ?1 + 2", 1).one();
        return [
          sql.exec("SELECT * FROM t WHERE id <= 3").toArray(),
          returned,
          walked,
          numbered,
          [...sql.exec("SELECT id, text FROM t WHERE id = 1").raw()],
        ];
      });
      expect(seen).toEqual([
        [
          { id: 1, text: "a;b", n: 0.5 },
          { id: 2, text: "ä", n: 7 },
          { id: 3, text: "c", n: null },
        ],
        [{ id: 4 }],
        [4, 3],
        { id: 2 },
        [[1, "a;b"]],
      ]);
    });

    test.each(["SELECT 1 AS one WHERE 0", "SELECT 1 AS one UNION SELECT 2"])("one() throws unless there is one row: %s", async (query) => {
      await expect(runIn(({ storage: { sql } }) => sql.exec(query).one())).rejects.toThrow("Expected exactly one result");
    });

    test.each(["BEGIN", "SAVEPOINT a", "COMMIT"])("%s is refused, since the platform has the transaction", async (query) => {
      await expect(runIn(({ storage: { sql } }) => sql.exec(query))).rejects.toThrow("transactionSync");
    });

    test("transactionSync rolls back all that was written in it if it throws, and no more", async () => {
      const seen = await runIn(({ storage }) => {
        const { kv, sql } = storage;
        sql.exec("CREATE TABLE t (id INTEGER PRIMARY KEY)");
        kv.put("before", 1);
        const attempt = (work: () => void) => {
          try {
            storage.transactionSync(work);
          } catch (error) {
            return String(error);
          }
          return "kept";
        };
        const write = (n: number) => {
          kv.put(`key${n}`, n);
          kv.delete("before");
          sql.exec("INSERT INTO t VALUES (?)", n);
        };
        const state = () => [
          [...kv.list()].map(([key]) => key),
          sql
            .exec("SELECT id FROM t ORDER BY id")
            .toArray()
            .map(({ id }) => id),
        ];
        const outcomes = [
          attempt(() => {
            write(1);
            throw new Error("back");
          }),
          attempt(() => {
            kv.put("outer", 1);
            attempt(() => {
              write(2);
              throw new Error("inner");
            });
            attempt(() => write(3));
          }),
        ];
        return [outcomes, state(), storage.transactionSync(() => "result")];
      });
      expect(seen).toEqual([["Error: back", "kept"], [["key3", "outer"], [3]], "result"]);
    });

    test("an alarm is set, replaced and deleted", async () => {
      const seen = await runIn(async ({ storage }) => {
        const times = [await storage.getAlarm()];
        for (const at of [4_000_000_000_000, new Date(4_100_000_000_000)]) {
          void storage.setAlarm(at);
          times.push(await storage.getAlarm());
        }
        await storage.deleteAlarm();
        return [...times, await storage.getAlarm()];
      });
      expect(seen).toEqual([null, 4_000_000_000_000, 4_100_000_000_000, null]);
    });

    test("sockets are accepted with tags, keep an attachment up to a size, and can't send once they are closed", async () => {
      const seen = await runIn((state) => {
        const { 0: client, 1: server } = webSocketPair(state);
        state.acceptWebSocket(server, ["a", "b"]);
        const attached = { list: [1] };
        server.serializeAttachment(attached);
        attached.list.push(2);
        const fits = (value: unknown) => {
          try {
            server.serializeAttachment(value);
            return true;
          } catch {
            return false;
          }
        };
        const kept = server.deserializeAttachment();
        // Five bytes are around the characters, each of which takes one byte, or two.
        const sizes = [fits("x".repeat(16_379)), fits("x".repeat(16_380)), fits("日".repeat(8_189)), fits("日".repeat(8_190))];
        const found = ["a", "b", "c", undefined].map((tag) => state.getWebSockets(tag).length);
        server.close(1000, "done");
        let error = "";
        try {
          server.send("late");
        } catch (thrown) {
          error = String(thrown);
        }
        client.accept();
        return [kept, sizes, found, state.getTags(server), error];
      });
      expect(seen).toEqual([{ list: [1] }, [true, false, true, false], [1, 1, 0, 1], ["a", "b"], expect.stringContaining("after close()")]);
    });
  });
}
