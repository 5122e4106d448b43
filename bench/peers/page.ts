/** The bench's page with the peers. */
import { doJobs } from "../page/jobs.ts";
import { DEXIE } from "./dexie.ts";
import { POUCHDB } from "./pouchdb.ts";
import { RXDB } from "./rxdb.ts";
import { SQLITE } from "./sqlite.ts";

void doJobs([DEXIE, POUCHDB, RXDB, SQLITE]);
