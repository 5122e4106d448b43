/** Dexie: a table with a counted key and a compound index. Its transactions have the durability that the browser gives them. */
import { Dexie, type EntityTable } from "dexie";
import type { Contender } from "../page/contender.ts";
import type { GivenEvent } from "../page/data.ts";

interface Row extends Omit<GivenEvent, "position"> {
  readonly position: number;
}

const PAGE = 1_000;

export const DEXIE: Contender = {
  name: "Dexie",
  open: async (database) => {
    const db = new Dexie(database) as Dexie & { events: EntityTable<Row, "position"> };
    db.version(1).stores({ events: "++position, &[streamId+version]" });
    await db.open();
    const add = (events: readonly GivenEvent[]) => db.events.bulkAdd(events.map(({ position: _, ...row }) => row));
    return {
      append: ({ position: _, ...row }) => db.events.add(row),
      commit: add,
      importAll: add,
      readStream: async (streamId) =>
        (await db.events.where("[streamId+version]").between([streamId, Dexie.minKey], [streamId, Dexie.maxKey]).toArray()).length,
      replay: async () => {
        let count = 0;
        for (let after = 0; ; ) {
          const page = await db.events.where("position").above(after).limit(PAGE).toArray();
          count += page.length;
          if (page.length < PAGE) return count;
          after = page.at(-1)?.position ?? after;
        }
      },
      close: async () => db.close(),
    };
  },
  remove: (database) => Dexie.delete(database),
};
