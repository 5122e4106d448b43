/**
 * The ids of a stream's events, and of the commands that they were decided for.
 *
 *     versions    1 … 1024 │ 1025 … 2048 │ 2049 … 2600        first append after a wake: reads the rows of the blocks, and the runs of the rest
 *                 block 0  │   block 1   │ the rest           an id whose fingerprint is in a block: the run that has its version is read
 *                 fingerprints           │ ids
 *
 * A block that is not stored, or is damaged, is made of its runs, and stored with the next appends, some with each of them: a stream of an earlier
 * version has none. Memory holds 6 to 12 bytes for each event of the newest blocks. The rows of older ones are read again for each commit.
 */
import { assert } from "../../shared/assert.ts";
import { commandIdOf } from "../../shared/decider/command.ts";
import { BLOCK, blockEnd, blockOf, commandPrint, type EventIds, Fingerprints, idPrint } from "../../shared/edge/fingerprints.ts";
import type { EventBody } from "../../shared/event/event.ts";
import type { Places } from "../../shared/places.ts";
import { idOf, parseContent } from "../objects/run-text.ts";
import { type IdBlock, storeBlock, storedBlock, storedBlocks } from "./id-blocks.ts";
import type { ReadRun, StreamRuns } from "./stream-runs.ts";

/** What the content of an event with a command's id has somewhere. Data may have it, too. */
const MARK = '"$commandId":"';

/** Blocks that are kept in memory, of those that are stored. */
const KEPT = 1024;
/** Rows that an append writes, at most. */
const ROWS = 16;

export class KnownIds {
  readonly #storage: DurableObjectStorage;
  readonly #runs: StreamRuns;
  /** Those in memory, by their numbers. */
  readonly #blocks = new Map<number, IdBlock>();
  /** Blocks that are to be stored, in order. */
  #unstored: number[] = [];
  /** How many blocks there are. */
  #count: number;
  /** Of the events behind the blocks, in order. */
  #rest: EventIds[] = [];
  readonly #versions = new Map<string, number>();
  readonly #commands = new Map<string, Places>();

  /** @throws StorageDamagedError if an event whose ids have to be read can't be */
  constructor(storage: DurableObjectStorage, runs: StreamRuns) {
    this.#storage = storage;
    this.#runs = runs;
    this.#count = blockOf(runs.version + 1);
    const stored = this.#readStored();
    let next = 0;
    for (const end of [...stored, this.#count]) {
      for (const made of this.#made(next, end)) {
        this.#blocks.set(next, made);
        this.#unstored.push(next++);
      }
      next = end + 1;
    }
    for (const { ids } of this.#read(this.#count * BLOCK + 1, runs.version)) this.#addIds(ids);
  }

  /** Reads what is stored into memory, as far as it is of the stream's events. @returns the numbers of the blocks that are stored */
  #readStored(): Set<number> {
    const stored = new Set<number>();
    if (this.#count === 0) return stored;
    for (const [block, prints] of storedBlocks(this.#storage, this.#runs.name(), this.#count * BLOCK)) {
      stored.add(block);
      this.#keep(block, prints);
    }
    for (const block of [...stored].reverse()) {
      if (this.#blocks.get(block)?.end === this.#runs.lineOf(blockEnd(block)).digest) break;
      stored.delete(block);
      this.#blocks.delete(block);
    }
    return stored;
  }

  /** Keeps a block that is stored. */
  #keep(block: number, prints: IdBlock): void {
    this.#blocks.set(block, prints);
    if (this.#blocks.size - this.#unstored.length <= KEPT) return;
    const unstored = new Set(this.#unstored);
    const oldest = [...this.#blocks.keys()].find((known) => !unstored.has(known));
    if (oldest !== undefined) this.#blocks.delete(oldest);
  }

  /** Blocks, made of their runs. @param end the number behind the last of them */
  *#made(block: number, end: number): Generator<IdBlock> {
    let events: EventIds[] = [];
    for (const { ids, digest } of this.#read(block * BLOCK + 1, end * BLOCK)) {
      events.push(ids);
      if (events.length < BLOCK) continue;
      yield { prints: Fingerprints.of(events), end: digest };
      events = [];
    }
  }

  *#read(first: number, last: number): Generator<{ readonly ids: EventIds; readonly digest: string }> {
    let version = first;
    for (const { firstVersion, lines } of first > last ? [] : this.#runs.from(first)) {
      for (const { content, digest } of lines.slice(version - firstVersion)) {
        if (version++ > last) return;
        const commandId = content.includes(MARK) ? commandIdOf(parseContent(content)) : undefined;
        yield { ids: { id: idOf(content), commandId }, digest };
      }
    }
    assert(version === last + 1, "the runs of a stream have its versions without a gap");
  }

  /** The versions of the events that have these ids, as far as there are any. @throws StorageDamagedError */
  versionsOf(ids: readonly string[]): Map<string, number> {
    const versions = new Map<string, number>();
    const prints = ids.map((id) => [id, idPrint(id)] as const);
    const lineOf = this.#reader();
    for (let block = 0; block < this.#count; block++) {
      const { prints: known } = this.#block(block);
      for (const [id, print] of prints) {
        for (const place of known.placesOf(print)) {
          const version = block * BLOCK + place + 1;
          if (idOf(lineOf(version)) === id) versions.set(id, version);
        }
      }
    }
    for (const id of ids) {
      const version = this.#versions.get(id);
      if (version !== undefined) versions.set(id, version);
    }
    return versions;
  }

  /** The versions of the events that were decided for a command. @throws StorageDamagedError */
  ofCommand(commandId: string): Places | undefined {
    const print = commandPrint(commandId);
    const lineOf = this.#reader();
    let places: Places | undefined;
    for (let block = 0; block < this.#count; block++) {
      for (const place of this.#block(block).prints.placesOf(print)) {
        const version = block * BLOCK + place + 1;
        if (commandIdOf(parseContent(lineOf(version))) === commandId) places = { first: places?.first ?? version, last: version };
      }
    }
    const rest = this.#commands.get(commandId);
    return rest === undefined ? places : { first: places?.first ?? rest.first, last: rest.last };
  }

  #block(block: number): IdBlock {
    const known = this.#blocks.get(block) ?? storedBlock(this.#storage, this.#runs.name(), block);
    if (known !== undefined) return known;
    // Its row was damaged since the wake.
    const [made] = this.#made(block, block + 1);
    assert(made !== undefined, "a block is made of its events");
    return made;
  }

  /** Reads the content of versions. One that is in the run of the one before is not read again. */
  #reader(): (version: number) => string {
    let run: ReadRun | undefined;
    return (version) => {
      if (run === undefined || version < run.firstVersion || version > run.lastVersion) run = this.#runs.holding(version);
      return run.lines[version - run.firstVersion]?.content ?? "";
    };
  }

  /** An event that is to be written with the version behind the last. */
  add(event: EventBody): void {
    this.#addIds({ id: event.id, commandId: commandIdOf(event) });
  }

  #addIds(ids: EventIds): void {
    this.#rest.push(ids);
    const version = this.#count * BLOCK + this.#rest.length;
    this.#versions.set(ids.id, version);
    if (ids.commandId === undefined) return;
    const first = this.#commands.get(ids.commandId)?.first ?? version;
    this.#commands.set(ids.commandId, { first, last: version });
  }

  /** To be called in the turn of the write, once the added events are written. */
  save(): void {
    while (this.#rest.length >= BLOCK) this.#complete();
    // In their order: a row of other events is written anew before any behind it.
    for (const block of this.#unstored.splice(0, ROWS)) {
      const prints = this.#block(block);
      storeBlock(this.#storage, this.#runs.name(), block, prints);
      this.#keep(block, prints);
    }
  }

  /** The first events of the rest become a block. */
  #complete(): void {
    const events = this.#rest.slice(0, BLOCK);
    this.#rest = this.#rest.slice(BLOCK);
    const block = this.#count++;
    this.#blocks.set(block, { prints: Fingerprints.of(events), end: this.#runs.lineOf(blockEnd(block)).digest });
    this.#unstored.push(block);
    for (const { id, commandId } of events) {
      if ((this.#versions.get(id) ?? 0) <= blockEnd(block)) this.#versions.delete(id);
      if (commandId !== undefined) this.#forgetCommand(commandId, blockEnd(block));
    }
  }

  /** The blocks have what it has up to a version. */
  #forgetCommand(commandId: string, version: number): void {
    const places = this.#commands.get(commandId);
    if (places === undefined) return;
    if (places.last <= version) this.#commands.delete(commandId);
    else this.#commands.set(commandId, { first: Math.max(places.first, version + 1), last: places.last });
  }
}
