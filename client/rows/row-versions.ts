/** The rows of versions of a projection before, which answer while the rows of this one are built. */
import type { AnyProjection } from "../../shared/device/projection.ts";
import type { StoreInternals } from "../internals.ts";
import { RowDatabase, rowsName } from "./row-database.ts";

/** The latest version before that has caught up once. */
export async function openBefore(internals: StoreInternals, projection: AnyProjection): Promise<RowDatabase | undefined> {
  for (const version of await versionsBefore(internals, projection)) {
    const rows = new RowDatabase(internals, { ...projection, version }, () => undefined);
    if ((await rows.checkpoint()).isReady) return rows;
    rows.close();
  }
  return undefined;
}

/** A tab that has one of them open still makes its rows anew. */
export async function deleteBefore(internals: StoreInternals, projection: AnyProjection): Promise<void> {
  for (const version of await versionsBefore(internals, projection)) {
    internals.platform.indexedDB.deleteDatabase(rowsName(internals.name, projection.name, version));
  }
}

/** Of which there are rows, the latest first; none where the browser can't tell. */
async function versionsBefore({ name: store, platform }: StoreInternals, { name, version }: AnyProjection): Promise<number[]> {
  const databases = (await platform.indexedDB.databases?.()) ?? [];
  const names = new Set(databases.map((database) => database.name));
  const start = rowsName(store, name, 0).slice(0, -1);
  return [...names]
    .flatMap((other) => (other?.startsWith(start) ? [Number(other.slice(start.length))] : []))
    .filter((other) => other < version)
    .sort((a, b) => b - a);
}
