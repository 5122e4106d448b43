/** The rows of a projection's previous versions. Queries read them while the rows of the current version are built. */
import type { AnyProjection } from "../../shared/device/projection.ts";
import type { StoreInternals } from "../internals.ts";
import { platformNow } from "../storage/idb.ts";
import { RowDatabase, rowsName } from "./row-database.ts";

/** The rows of the latest previous version that has caught up once; undefined if there are none. */
export async function openBefore(internals: StoreInternals, projection: AnyProjection): Promise<RowDatabase | undefined> {
  for (const version of await versionsBefore(internals, projection)) {
    const rows = new RowDatabase(internals, { ...projection, version }, () => undefined);
    if ((await rows.checkpoint()).isReady) return rows;
    rows.close();
  }
  return undefined;
}

/** Deletes the rows of previous versions. A tab that still has one of them open builds its rows again. */
export async function deleteBefore(internals: StoreInternals, projection: AnyProjection): Promise<void> {
  for (const version of await versionsBefore(internals, projection)) deleteRows(internals, { ...projection, version });
}

/** Deletes the rows of this version. What opens them next waits for it, and builds them again. */
export function deleteRows({ name: store, platform }: StoreInternals, { name, version }: AnyProjection): void {
  platformNow(platform).indexedDB.deleteDatabase(rowsName(store, name, version));
}

/** The earlier versions that have rows, the latest first; none if the browser can't list databases. */
async function versionsBefore(
  { name: store, platform, database: own }: StoreInternals,
  { name, version }: AnyProjection,
): Promise<number[]> {
  // A list that fails is asked for once more, and its error is typed, as with all work on the store's database.
  const databases = (await own.run(async () => platformNow(platform).indexedDB.databases?.())) ?? [];
  const names = new Set(databases.map((database) => database.name));
  const start = rowsName(store, name, 0).slice(0, -1);
  return [...names]
    .flatMap((other) => (other?.startsWith(start) ? [Number(other.slice(start.length))] : []))
    .filter((other) => other < version)
    .sort((a, b) => b - a);
}
