/**
 * Fingerprints of the ids of a stream's events, a block of consecutive versions at a time: by them the stream finds the version of an id, or that no
 * event has it, without reading its events.
 *
 *     version              1      2      3      4    …        print: 32 bits of an event's id, or of the id of its command
 *     print             7f31   02c4   9a10   7f31    …
 *     sorted      02c4  7f31   7f31   9a10           …        place: the version's, within the block
 *     place          1     0      3      2           …
 *
 * Invariants (numbers of docs/architecture.md):
 *  3. an id that an event of the block has is found: its print is among the block's. Ids with the same print are told apart by the events
 *     themselves, which the caller reads. Of a million events, one in 4,000 ids that are new makes it read one.
 */
import { mixed } from "../bits.ts";

/** Versions of a block. */
export const BLOCK = 1024;

/** The ids of an event. */
export interface EventIds {
  readonly id: string;
  /** Of the command that the event was decided for. */
  readonly commandId: string | undefined;
}

/** Bytes of an entry: its print, and its place. */
const PRINT = 4;
const PLACE = 2;
/** A print and a place are one number while they are sorted. */
const PLACES = 2 ** 16;

/** 32 bits of an event's id: FNV-1a, by Glenn Fowler, Landon Curt Noll and Kiem-Phong Vo. */
export function idPrint(id: string): number {
  return printOf(id, 0x811c9dc5);
}

/** The same of a command's id. An event may have the id of its command. */
export function commandPrint(commandId: string): number {
  return printOf(commandId, 0x2d3a4c1b);
}

function printOf(text: string, start: number): number {
  let bits = start;
  for (let i = 0; i < text.length; i++) bits = Math.imul(bits ^ text.charCodeAt(i), 0x01000193);
  return mixed(bits) >>> 0;
}

/** The number of the block that has a version, from 0. */
export function blockOf(version: number): number {
  return Math.floor((version - 1) / BLOCK);
}

/** The last version of a block. */
export function blockEnd(block: number): number {
  return (block + 1) * BLOCK;
}

export class Fingerprints {
  readonly #prints: Uint32Array;
  readonly #places: Uint16Array;

  private constructor(prints: Uint32Array, places: Uint16Array) {
    this.#prints = prints;
    this.#places = places;
  }

  /** @param events of a block, in the order of their versions */
  static of(events: readonly EventIds[]): Fingerprints {
    const entries: number[] = [];
    for (const [place, { id, commandId }] of events.entries()) {
      entries.push(idPrint(id) * PLACES + place);
      if (commandId !== undefined) entries.push(commandPrint(commandId) * PLACES + place);
    }
    const sorted = Float64Array.from(entries).sort();
    return new Fingerprints(
      Uint32Array.from(sorted, (entry) => Math.floor(entry / PLACES)),
      Uint16Array.from(sorted, (entry) => entry % PLACES),
    );
  }

  /** @param bytes as `toBytes` returns them */
  static from(bytes: Uint8Array): Fingerprints {
    const count = Math.floor(bytes.length / (PRINT + PLACE));
    return new Fingerprints(
      new Uint32Array(bytes.slice(0, count * PRINT).buffer),
      new Uint16Array(bytes.slice(count * PRINT, count * (PRINT + PLACE)).buffer),
    );
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#prints.byteLength + this.#places.byteLength);
    bytes.set(new Uint8Array(this.#prints.buffer));
    bytes.set(new Uint8Array(this.#places.buffer), this.#prints.byteLength);
    return bytes;
  }

  /** The places that have a print, in order. The events there may have another id. */
  placesOf(print: number): number[] {
    const prints = this.#prints;
    let low = 0;
    let high = prints.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((prints[middle] ?? 0) < print) low = middle + 1;
      else high = middle;
    }
    const places: number[] = [];
    for (let at = low; prints[at] === print; at++) places.push(this.#places[at] ?? 0);
    return places;
  }
}
