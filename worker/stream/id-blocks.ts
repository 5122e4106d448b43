/**
 * The fingerprints of the ids of a stream's events (`shared/edge/fingerprints.ts`) as its object stores them, one row for each block of versions
 * that is complete. They are derived from the runs: a row that is damaged, or of other events, is made again.
 *
 *     "!ids/" and the block's last version, padded     prints, the digest of the event there, and a digest of both
 *
 * An earlier version knows nothing of these rows. It may cut the stream's end off and let others take its place, so the newest row is compared with
 * the event at its end, and if that is another one, the row before it is, and so on. Whatever of a stream's end is replaced, the newest
 * row is of it.
 */
import { BLOCK, blockEnd, blockOf, Fingerprints } from "../../shared/edge/fingerprints.ts";
import { digestOfBytes } from "../../shared/event/digest.ts";
import { ordinalKey } from "../objects/ordinal-key.ts";

/** Sorts before the keys of all runs. */
const PREFIX = "!ids/";

interface StoredBlock {
  readonly prints: Uint8Array;
  /** The digest of the block's last event. */
  readonly end: string;
  readonly digest: string;
}

export interface IdBlock {
  readonly prints: Fingerprints;
  readonly end: string;
}

function keyOf(version: number): string {
  return PREFIX + ordinalKey(version);
}

/** The blocks that are stored of a stream up to a version, by their numbers. Those that are damaged are left out. @param name the object's */
export function* storedBlocks(storage: DurableObjectStorage, name: string, version: number): Generator<readonly [number, IdBlock]> {
  for (const [key, stored] of storage.kv.list<StoredBlock>({ start: keyOf(1), end: keyOf(version + 1) })) {
    const last = Number(key.slice(PREFIX.length));
    // A version with blocks of another size may have written it.
    if (last % BLOCK !== 0 || digestOf(name, last, stored) !== stored.digest) continue;
    yield [blockOf(last), { prints: Fingerprints.from(stored.prints), end: stored.end }];
  }
}

/** A block that is stored; undefined if it is not, or is damaged. */
export function storedBlock(storage: DurableObjectStorage, name: string, block: number): IdBlock | undefined {
  const last = blockEnd(block);
  const stored = storage.kv.get<StoredBlock>(keyOf(last));
  if (stored === undefined || digestOf(name, last, stored) !== stored.digest) return undefined;
  return { prints: Fingerprints.from(stored.prints), end: stored.end };
}

export function storeBlock(storage: DurableObjectStorage, name: string, block: number, { prints, end }: IdBlock): void {
  const last = blockEnd(block);
  const bytes = prints.toBytes();
  const stored = { prints: bytes, end, digest: "" };
  storage.kv.put(keyOf(last), { ...stored, digest: digestOf(name, last, stored) } satisfies StoredBlock);
}

function digestOf(name: string, last: number, { prints, end }: StoredBlock): string {
  return digestOfBytes(prints, `${name}@${last} ${end}`);
}

/** Other events take the place of those from `first` to `last`. To be called in the transaction of the write. */
export function dropBlocks(storage: DurableObjectStorage, first: number, last: number): void {
  const end = Math.min(last, Number.MAX_SAFE_INTEGER - 2 * BLOCK);
  for (const [key] of [...storage.kv.list({ start: keyOf(first), end: keyOf(blockEnd(blockOf(end)) + 1) })]) storage.kv.delete(key);
}
