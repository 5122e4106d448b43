/**
 * Whom a device's database belongs to: one address of the edge, and one person. What is in it is sent nowhere else, and in no other name.
 *
 *     opened, or about to send ──► same address? ── yes ──► same person? ── yes ──► go ahead; what was unknown is recorded
 *                                    │ no                     │ no
 *                                    └────────────────────────┴──► refused: nothing is read, sent or appended
 *
 * Each field is recorded once, by the first who knows it. The one change is the app's: it says that the address has moved.
 *
 * Invariants (11 of docs/architecture.md): no event is recorded in the name of a person who did not make it.
 *
 * What it does not do: verify who somebody is. The edge does that.
 */

/** What a device's database stores about it. */
export interface Owner {
  /** The store's address at the edge; null before the first tab with `sync`. */
  readonly url: string | null;
  /** The person: the `sub` of their tokens; null if nobody is known. */
  readonly person: string | null;
  /** The database ends: its person has signed out, or it is being handed over. Set together with the last change of its commits. */
  readonly ending?: "signed-out" | { readonly handover: string };
  /** Handovers whose commits this database has taken. */
  readonly taken?: readonly string[];
}

export const NOBODY: Owner = { url: null, person: null };

/** Who wants to use the database. Null: not known. */
export interface Claim {
  readonly url: string | null;
  readonly person: string | null;
  /** The address before, if the app says that the store has moved. */
  readonly movedFrom?: string | null;
}

export type OwnerDecision =
  | { readonly kind: "owned"; readonly owner: Owner }
  | { readonly kind: "refused"; readonly field: "sync.url" | "person"; readonly owner: string; readonly given: string };

/** @param owner as it is stored, read in the transaction that writes the decision */
export function decideOwner(owner: Owner, claim: Claim): OwnerDecision {
  const { url, person, movedFrom = null } = claim;
  if (differ(owner.person, person)) return { kind: "refused", field: "person", owner: owner.person, given: person ?? "" };
  if (differ(owner.url, url) && owner.url !== movedFrom) return { kind: "refused", field: "sync.url", owner: owner.url, given: url ?? "" };
  const isKnown = (url === null || url === owner.url) && (person === null || person === owner.person);
  return { kind: "owned", owner: isKnown ? owner : { ...owner, url: url ?? owner.url, person: owner.person ?? person } };
}

function differ(known: string | null, given: string | null): known is string {
  return known !== null && given !== null && known !== given;
}

/** What a refusal says, and what to do. */
export function refusalOf({ field, owner, given }: OwnerDecision & { kind: "refused" }): string {
  return field === "person"
    ? `This device's store belongs to ${owner}, not to ${given}: sign in as ${owner}, or open it with person: ${JSON.stringify(given)}.`
    : `This device's store belongs to ${owner}, not to ${given}: use another name, deleteStore, or sync.movedFrom if it has moved.`;
}

/** What separates a store's name from a person in the name of their database. */
export const PERSON_SEPARATOR = "~";

/**
 * The name of a person's database of a store. Different stores and persons get different names.
 *
 * @param name without `PERSON_SEPARATOR`
 */
export function databaseName(name: string, person: string | undefined): string {
  if (person === undefined) return name;
  return name + PERSON_SEPARATOR + encodeURIComponent(person).replaceAll(PERSON_SEPARATOR, "%7E");
}

/**
 * Of these databases, those in which a store's events are: of all persons and of nobody.
 *
 * @param listed the names of all databases
 */
export function databasesOf(name: string, listed: readonly string[]): string[] {
  const [start, after] = [name + PERSON_SEPARATOR, name.length + PERSON_SEPARATOR.length];
  return listed.filter((other) => other === name || (other.startsWith(start) && !/[/~]/.test(other.slice(after)) && other !== start));
}

/** Of these databases, those of the rows that were folded from this one. */
export function rowDatabasesOf(database: string, listed: readonly string[]): string[] {
  const start = `${database}/`;
  return listed.filter((other) => other.startsWith(start) && /^[A-Za-z0-9._-]+@\d+$/.test(other.slice(start.length)));
}
