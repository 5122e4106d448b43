/**
 * The state of a stream, as the decider of its category folds it, so that the edge can decide commands.
 *
 *     "!snapshot"   of the decider and its version: the state as JSON, up to a version, with a digest
 *
 * The state is kept in memory, and a snapshot every hundred events: a decision costs what is new. A state that is not JSON, or too large for a
 * value, has no snapshot and is folded from the first event when the object wakes.
 */
import { type AnyDecider, beginningOf } from "../../shared/decider/decider.ts";
import { frozen } from "../../shared/decider/frozen.ts";
import { isUsable, isWorthTaking } from "../../shared/decider/snapshot.ts";
import { foldFaultless } from "../../shared/edge/decision.ts";
import { textDigest } from "../../shared/event/digest.ts";
import { type EventTypes, upcastEvent } from "../../shared/event/event-types.ts";
import { copyJson, sameJson } from "../../shared/json.ts";
import type { Limits } from "../../shared/limits.ts";
import { categoryOf } from "../../shared/stream-id.ts";
import { parseContent, type StoredEvent } from "../objects/run-text.ts";
import type { StreamRuns } from "./stream-runs.ts";

/** Deciders by category. */
export type EdgeDeciders = ReadonlyMap<string, AnyDecider>;

/** What the objects of an edge know of the app. */
export interface StreamRules {
  readonly deciders: EdgeDeciders;
  readonly eventTypes: EventTypes | undefined;
  readonly limits: Limits;
}

/** An event without its position, as a decider folds it. */
export interface FoldedEvent extends StoredEvent {
  readonly streamId: string;
  readonly version: number;
}

interface Snapshot {
  readonly decider: string;
  readonly deciderVersion: number;
  readonly version: number;
  /** UTF-8: a text that is not Latin-1 would take two bytes for each of its characters. */
  readonly state: Uint8Array;
  readonly digest: string;
}

interface Kept {
  readonly version: number;
  readonly state: unknown;
}

/** Sorts before the keys of all runs. */
const KEY = "!snapshot";
/** Bytes of a snapshot. A value has at most 2 MiB. */
const MOST = 1024 * 1024;
const DEPTH = 256;

export class StreamDecider {
  readonly #storage: DurableObjectStorage;
  readonly #runs: StreamRuns;
  readonly #rules: StreamRules;
  #kept: Kept | undefined;
  /** The version of the snapshot that is stored; undefined if that is not known. */
  #stored: number | undefined;

  constructor(storage: DurableObjectStorage, runs: StreamRuns, rules: StreamRules) {
    this.#storage = storage;
    this.#runs = runs;
    this.#rules = rules;
  }

  /** The decider of a stream's category; undefined if the edge has none. */
  of(streamId: string): AnyDecider | undefined {
    return this.#rules.deciders.get(categoryOf(streamId));
  }

  /** The state of the events that are stored. @throws DecisionFault if they can't be folded */
  stateOf(streamId: string, decider: AnyDecider): unknown {
    const from = this.#kept ?? this.#read(decider);
    if (from?.version === this.#runs.version) return from.state;
    const { version: before } = from ?? { version: 0 };
    const events = function* (this: StreamDecider) {
      for (const { firstVersion, lines } of this.#runs.from(before + 1)) {
        for (const [i, { content }] of lines.entries()) {
          const version = firstVersion + i;
          if (version > before) yield this.#asKnown({ ...parseContent(content), streamId, version });
        }
      }
    }.bind(this);
    const state = foldFaultless(decider, () => (from === undefined ? beginningOf(decider) : from.state), events());
    this.#kept = { version: this.#runs.version, state };
    return state;
  }

  /**
   * The state with events that are to be written.
   *
   * @param events as they will be read again
   * @throws DecisionFault
   */
  folded(decider: AnyDecider, state: unknown, events: readonly FoldedEvent[]): unknown {
    const known = function* (this: StreamDecider) {
      for (const event of events) yield this.#asKnown(event);
    }.bind(this);
    return foldFaultless(decider, () => state, known());
  }

  /** An event as the decider knows it. Devices have its position, and the edge may not yet: it is left out. @throws UpcastError */
  #asKnown(event: FoldedEvent): FoldedEvent {
    const { eventTypes } = this.#rules;
    return eventTypes === undefined ? event : upcastEvent(eventTypes, event).event;
  }

  /** To be called in the turn of the write: the stream has these events now, and this state. */
  keep(decider: AnyDecider, version: number, state: unknown): void {
    this.#kept = { version, state };
    this.#stored ??= this.#read(decider)?.version ?? 0;
    if (!isWorthTaking(version, this.#stored)) return;
    const text = toText(state);
    this.#stored = version;
    if (text === undefined) return;
    const { name, version: deciderVersion } = decider;
    const digest = textDigest(text, `${name}@${deciderVersion} ${version}`);
    const bytes = new TextEncoder().encode(text);
    this.#storage.kv.put(KEY, { decider: name, deciderVersion, version, state: bytes, digest } satisfies Snapshot);
  }

  /** A write has failed: what is in memory may be ahead of what is stored. */
  forget(): void {
    this.#kept = undefined;
    this.#stored = undefined;
  }

  /** Other events have taken the place of some: all is folded again. */
  begin(): void {
    this.forget();
    this.#storage.kv.delete(KEY);
  }

  #read(decider: AnyDecider): Kept | undefined {
    const snapshot = this.#storage.kv.get<Snapshot>(KEY);
    if (snapshot === undefined || snapshot.decider !== decider.name) return undefined;
    const { deciderVersion, version, state, digest } = snapshot;
    if (!isUsable(snapshot, decider.version, this.#runs.version)) return undefined;
    // What storage has changed is folded again.
    const text = new TextDecoder().decode(state);
    if (textDigest(text, `${decider.name}@${deciderVersion} ${version}`) !== digest) return undefined;
    return { version, state: frozen(JSON.parse(text)) };
  }
}

/** The state as JSON; undefined if it is not the same when it is read again. */
function toText(state: unknown): string | undefined {
  try {
    const { value, bytes } = copyJson(state, "state", DEPTH);
    return bytes <= MOST && sameJson(value, state) ? JSON.stringify(value) : undefined;
  } catch {
    return undefined; // no JSON, as the comment at the top says
  }
}
