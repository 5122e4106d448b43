/**
 * The commands that came to nothing: refused, or without an event. Events keep the id of their command; of these nothing is recorded, so they are
 * noted. A command that comes again is then answered as before, whatever has happened in the stream since.
 *
 *     "!refused/" and a number, padded     the command's id, and what `decide` threw; null if it decided no event
 */
import type { CommandRefusal } from "../../shared/decider/command.ts";
import { ordinalKey } from "../objects/ordinal-key.ts";

interface Note {
  readonly id: string;
  readonly refusal: CommandRefusal | null;
}

/** Sorts before the keys of all runs. */
const PREFIX = "!refused/";
/** Notes of a stream: the oldest goes when there are more. */
const MOST = 500;

export class Refusals {
  readonly #storage: DurableObjectStorage;
  /** By the command's id, the oldest first, each with its number. */
  #known: Map<string, { readonly number: number; readonly refusal: CommandRefusal | null }> | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** What was noted for a command; undefined if nothing was. */
  of(commandId: string): CommandRefusal | null | undefined {
    return this.#read().get(commandId)?.refusal;
  }

  /** To be called in the turn of the write. */
  add(commandId: string, refusal: CommandRefusal | null): void {
    const known = this.#read();
    const number = ([...known.values()].at(-1)?.number ?? 0) + 1;
    known.set(commandId, { number, refusal });
    this.#storage.kv.put(PREFIX + ordinalKey(number), { id: commandId, refusal } satisfies Note);
    const [oldest] = known;
    if (known.size <= MOST || oldest === undefined) return;
    known.delete(oldest[0]);
    this.#storage.kv.delete(PREFIX + ordinalKey(oldest[1].number));
  }

  /** What is in memory may be ahead of what is stored. */
  forget(): void {
    this.#known = undefined;
  }

  #read() {
    if (this.#known !== undefined) return this.#known;
    const notes = [...this.#storage.kv.list<Note>({ prefix: PREFIX })];
    this.#known = new Map(notes.map(([key, { id, refusal }]) => [id, { number: Number(key.slice(PREFIX.length)), refusal }]));
    return this.#known;
  }
}
