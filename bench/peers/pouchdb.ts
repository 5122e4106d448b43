/** PouchDB with the adapter that it takes in a browser. An event is a document; the feed of changes has the order of all. */
import PouchDB from "pouchdb-browser";
import type { Contender } from "../page/contender.ts";
import type { GivenEvent } from "../page/data.ts";

const PAGE = 1_000;

export const POUCHDB: Contender = {
  name: "PouchDB",
  open: async (database) => {
    const db = new PouchDB<GivenEvent>(database);
    await db.info();
    const add = async (events: readonly GivenEvent[]) => {
      const answers = await db.bulkDocs(events.map(documentOf));
      const failed = answers.find((answer) => "error" in answer);
      if (failed !== undefined) throw new Error(JSON.stringify(failed));
    };
    return {
      append: (event) => db.put(documentOf(event)),
      commit: add,
      importAll: add,
      readStream: async (streamId) => {
        const { rows } = await db.allDocs({ include_docs: true, startkey: `${streamId}/`, endkey: `${streamId}/\ufff0` });
        return rows.length;
      },
      replay: async () => {
        let count = 0;
        for (let since: number | string = 0; ; ) {
          const { results, last_seq }: PouchDB.Core.ChangesResponse<GivenEvent> = await db.changes({
            since,
            limit: PAGE,
            include_docs: true,
          });
          count += results.length;
          if (results.length < PAGE) return count;
          since = last_seq;
        }
      },
      close: () => db.close(),
    };
  },
  remove: (database) => new PouchDB(database).destroy(),
};

function documentOf(event: GivenEvent): GivenEvent & { readonly _id: string } {
  return { ...event, _id: `${event.streamId}/${String(event.version).padStart(8, "0")}` };
}
