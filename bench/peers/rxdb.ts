/** RxDB with the storage on Dexie, the free one for IndexedDB. An event is a document. */
import { createRxDatabase, type RxCollection, type RxDatabase, type RxJsonSchema, removeRxDatabase } from "rxdb/plugins/core";
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie";
import type { Contender } from "../page/contender.ts";
import type { GivenEvent } from "../page/data.ts";

const PAGE = 1_000;

const schema: RxJsonSchema<GivenEvent> = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: {
    id: { type: "string", maxLength: 40 },
    streamId: { type: "string", maxLength: 100 },
    version: { type: "integer", minimum: 1, maximum: 10_000_000, multipleOf: 1 },
    position: { type: "integer", minimum: 0, maximum: 10_000_000, multipleOf: 1 },
    type: { type: "string" },
    data: { type: "object", additionalProperties: true },
    metadata: { type: "object", additionalProperties: true },
    occurredAt: { type: "string" },
  },
  required: ["id", "streamId", "version", "position", "type", "data", "metadata", "occurredAt"],
  indexes: [["streamId", "version"], "position"],
};

const storage = getRxStorageDexie();

export const RXDB: Contender = {
  name: "RxDB on Dexie",
  open: async (database) => {
    const db: RxDatabase<{ events: RxCollection<GivenEvent> }> = await createRxDatabase({ name: database, storage, multiInstance: false });
    const { events } = await db.addCollections({ events: { schema } });
    const add = async (given: readonly GivenEvent[]) => {
      const { error } = await events.bulkInsert([...given]);
      if (error.length > 0) throw new Error(JSON.stringify(error[0]));
    };
    return {
      append: (event) => events.insert(event),
      commit: add,
      importAll: add,
      readStream: async (streamId) => (await events.find({ selector: { streamId }, sort: [{ version: "asc" }] }).exec()).length,
      replay: async () => {
        let count = 0;
        for (let after = 0; ; ) {
          const page = await events.find({ selector: { position: { $gt: after } }, sort: [{ position: "asc" }], limit: PAGE }).exec();
          count += page.length;
          if (page.length < PAGE) return count;
          after = page.at(-1)?.position ?? after;
        }
      },
      close: async () => {
        await db.close();
      },
    };
  },
  remove: async (database) => {
    await removeRxDatabase(database, storage, false);
  },
};
