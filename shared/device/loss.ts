/**
 * What a device has lost: commits that were on it alone, and are gone with its database. Browsers evict the data of a site, people clear it,
 * and a browser that finds its own files broken begins anew.
 *
 *     commits on this device alone ──► counted beside the database, and in each tab ──► the database has another id? ── yes ──► a loss
 *                                                                                             └── no ──► counted again
 *     a loss ──► stored in the new database, shown in every tab ──► the app dismisses it
 *
 * Each database has an id, made with it. What was counted for another database than the one that is open is lost. A loss is known by the id
 * of its database: two tabs that have counted the same database report one loss.
 *
 * Invariants (6 of docs/architecture.md): what a person did does not disappear silently.
 *
 * What it does not do: bring anything back, or find a loss whose count is gone too (`client/storage/tally.ts` says when).
 */
import { isObject, sameJson } from "../json.ts";
import { isOrdinal } from "../order.ts";

/** Commits that are gone with the device's database. */
export interface Loss {
  /**
   * How many commits: pending ones that the edge was not known to have, and parked ones. Of a store without `sync`: how many events. It is
   * what was counted last, so the edge may have some of them.
   */
  readonly commits: number;
  /** When the oldest of them was made, ISO 8601 UTC; null if that is not known. */
  readonly since: string | null;
  /** Their streams: 100 at most. Empty if that is not known, and for a store without `sync`. */
  readonly streamIds: readonly string[];
}

/** What was counted of one database. */
export interface Count extends Loss {
  /** The id of the database. */
  readonly database: string;
  /** The person that it belonged to; null if nobody was known. */
  readonly person: string | null;
  /** The app has taken note of it. It is kept, so that a tab that counted the same database does not report it once more. */
  readonly isDismissed?: boolean;
}

/** What a database stores about itself. */
export interface DatabaseIdentity {
  readonly id: string;
  /** Losses of databases before it. */
  readonly losses: readonly Count[];
}

/** The most streams that a count names. */
export const MOST_STREAMS = 100;

/** The most losses that a database remembers: the newest. */
const MOST_LOSSES = 20;

/**
 * The identity after a look at what was counted, beside the database and in a tab. The same object if nothing is new.
 *
 * @param identity as it is stored, read in the transaction that writes the decision
 */
export function withLosses(identity: DatabaseIdentity, counts: readonly Count[]): DatabaseIdentity {
  const losses = new Map(identity.losses.map((loss) => [loss.database, loss]));
  const before = [...losses.values()];
  for (const count of counts) {
    const known = losses.get(count.database);
    if (count.database === identity.id || count.commits === 0) continue;
    const loss = known === undefined ? { ...count, isDismissed: count.isDismissed === true } : withCount(known, count);
    if (!sameJson(loss, known)) losses.set(count.database, loss);
  }
  const after = [...losses.values()];
  const isSame = after.length === before.length && after.every((loss, i) => loss === before[i]);
  return isSame ? identity : { ...identity, losses: after.slice(-MOST_LOSSES) };
}

/** The loss with what another tab has counted of the same database: each may have heard of other commits. */
function withCount(loss: Count, { commits, since, streamIds }: Loss): Count {
  const joined = totalLoss([loss, { commits, since, streamIds }]);
  return { ...loss, ...joined, commits: Math.max(loss.commits, commits) };
}

/** The identity after the app has taken note of these losses. */
export function withDismissed(identity: DatabaseIdentity, dismissed: readonly Count[]): DatabaseIdentity {
  const ids = new Set(dismissed.map(({ database }) => database));
  return { ...identity, losses: identity.losses.map((loss) => (ids.has(loss.database) ? { ...loss, isDismissed: true } : loss)) };
}

/** The losses that a person is to be shown: not those of another person, whose streams are none of their business. */
export function lossesFor(losses: readonly Count[], person: string | null): readonly Count[] {
  return losses.filter((loss) => loss.isDismissed !== true && (loss.person === null || loss.person === person));
}

/** All of them as one; null if there is none. */
export function totalLoss(losses: readonly Loss[]): Loss | null {
  if (losses.length === 0) return null;
  const times = losses.flatMap(({ since }) => (since === null ? [] : [since])).sort();
  return {
    commits: losses.reduce((sum, { commits }) => sum + commits, 0),
    since: times[0] ?? null,
    streamIds: [...new Set(losses.flatMap(({ streamIds }) => streamIds))].slice(0, MOST_STREAMS),
  };
}

/** Counts as they are kept beside the database, as text. What others have written there is no count. */
export function parseCounts(text: string | null): readonly Count[] {
  let value: unknown;
  try {
    value = JSON.parse(text ?? "[]");
  } catch {
    return []; // not written by this store
  }
  return Array.isArray(value) ? value.filter(isCount) : [];
}

function isCount(value: unknown): value is Count {
  if (!isObject(value)) return false;
  const { commits, since, streamIds, database, person } = value;
  const isText = (part: unknown) => typeof part === "string";
  const isNamed = isText(database) && (person === null || isText(person)) && (since === null || isText(since));
  return isNamed && isOrdinal(commits) && Array.isArray(streamIds) && streamIds.every(isText);
}
