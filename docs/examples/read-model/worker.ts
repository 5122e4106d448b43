/**
 * A read model in D1: one row for each permit, so that a web page can query "all that are open" in SQL.
 *
 * A subscription hands over each event at least once. Here each event counts exactly once nevertheless: the position of the last event is
 * stored in the same database, and is written in the same transaction as the rows. An event that comes a second time changes nothing.
 */
import { type ConfirmedEvent, createEdge, type EdgeEnv, type HandlerContext } from "headwater/edge";

export interface Env extends EdgeEnv {
  readonly DB: D1Database;
}

/** `npx wrangler d1 execute permits --file schema.sql` creates the tables. */
const UPSERT = `
  INSERT INTO permits (store, id, status, version, changed_at)
  SELECT ?1, value ->> 'streamId', value ->> 'type', value ->> 'version', value ->> 'recordedAt'
  FROM json_each(?2)
  WHERE (value ->> 'position') > coalesce((SELECT position FROM progress WHERE store = ?1), 0)
  ORDER BY value ->> 'position'
  ON CONFLICT (store, id) DO UPDATE SET status = excluded.status, version = excluded.version, changed_at = excluded.changed_at`;
const ADVANCE = `
  INSERT INTO progress (store, position) VALUES (?1, ?2)
  ON CONFLICT (store) DO UPDATE SET position = max(position, excluded.position)`;

/** Runs two statements for a batch of any size, because D1 limits how many a Worker may run. */
export async function keepPermits(events: readonly ConfirmedEvent[], { DB }: Env, { store }: HandlerContext): Promise<void> {
  const last = events.at(-1);
  if (last === undefined) return;
  // Only the fields that the model needs are sent to D1.
  const rows = events.map(({ streamId, type, version, recordedAt, position }) => ({ streamId, type, version, recordedAt, position }));
  await DB.batch([DB.prepare(UPSERT).bind(store, JSON.stringify(rows)), DB.prepare(ADVANCE).bind(store, last.position)]);
}

const edge = createEdge<Env>({ subscriptions: { permits: { category: "Permit", handle: keepPermits } } });

export const { LogObject, StreamObject, SubscriptionObject } = edge;

export default edge;
