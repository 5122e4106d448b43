/** Modelling over a device's store: what of a store is loaded when it is first needed. */

import type { DecidedEvent, Decider, Folding } from "../shared/device/decider.ts";
import { type AnyProjection, checkProjection, type IndexField, type Projection } from "../shared/device/projection.ts";
import type { History, Scope } from "../shared/device/replica.ts";
import type { Resolve } from "../shared/device/resolution.ts";
import { InvalidRequestError } from "../shared/errors.ts";
import type { ConfirmedEvent, NewEvent } from "../shared/event/event.ts";
import { type Conflict, readConflicts } from "./conflicts/conflicts.ts";
import { resolveParked } from "./conflicts/resolve-parked.ts";
import { createResolver } from "./conflicts/resolver.ts";
import type { Kit, Opened } from "./internals.ts";
import { Projector } from "./rows/projector.ts";
import { Table } from "./rows/table.ts";
import { type Exported, exportAll } from "./storage/export.ts";
import { resetHistory } from "./storage/reset.ts";
import { followFilter, followStreams } from "./storage/scope.ts";
import { takeOverDeviceHistory } from "./storage/take-over.ts";
import { type Aggregate, Aggregates, type FoldOptions } from "./streams/aggregates.ts";
import { checkEvents, createReader } from "./streams/event-checks.ts";
import { type Handled, type HandleOptions, handleCommand } from "./streams/handle.ts";
import { type LiveState, watchStream } from "./streams/live-state.ts";
import { SubscriptionKeeper } from "./subscription/control.ts";
import { type Handler, type SubscribeOptions, Subscriber } from "./subscription/subscriber.ts";
import { Turns } from "./tools/turns.ts";

export class Model {
  readonly #kit: Kit;
  readonly #aggregates: Aggregates;
  readonly #turns = new Turns();
  readonly #projectors = new Map<string, { readonly projection: AnyProjection; readonly projector: Promise<Projector> }>();
  readonly read: Kit["read"];
  /** What becomes of a commit whose expectation others have overtaken. */
  readonly resolve: Resolve<ConfirmedEvent>;

  constructor(opened: Opened) {
    const { eventTypes, onUnknownEvent } = opened;
    this.read = eventTypes === undefined ? (event) => event : createReader(eventTypes, onUnknownEvent);
    this.#kit = { ...opened, read: this.read, watch: (listener) => watched(opened.changes, listener) };
    this.#aggregates = new Aggregates(this.#kit);
    this.resolve = createResolver(this.#kit);
  }

  aggregateStream<State>(streamId: string, decider: Folding<State>, options: FoldOptions = {}): Promise<Aggregate<State>> {
    return this.#aggregates.read(streamId, decider, options);
  }

  handle<State, Command, Event extends DecidedEvent>(
    streamId: string,
    decider: Decider<State, Command, Event, never>,
    command: Command,
    options: HandleOptions,
  ): Promise<Handled<State, Event>> {
    return handleCommand(this.#kit, this.#aggregates, this.#turns, streamId, decider, command, options);
  }

  async project<Row, Event, Index extends IndexField<Row>>(projection: Projection<Row, Event, Index>): Promise<Table<Row, Index>> {
    const { name, version } = projection;
    const known = this.#projectors.get(name);
    const isSame = known?.projection === projection;
    if (known?.projection.version === version && !isSame) {
      throw new InvalidRequestError(`Two projections are named ${name}.`, { field: "projection.name" });
    }
    checkProjection(projection);
    const projector = isSame ? known.projector : this.#openProjector(projection, known?.projector);
    this.#projectors.set(name, { projection, projector });
    // What could not be opened is tried again.
    await projector.catch(() => {
      if (this.#projectors.get(name)?.projector === projector) this.#projectors.delete(name);
    });
    return new Table<Row, Index>(this.#kit, projection, await projector);
  }

  /** Another version, e.g. of a module that was loaded anew, takes the place of the one before. */
  async #openProjector(projection: AnyProjection, before: Promise<Projector> | undefined): Promise<Projector> {
    // Where that one could not be opened, whoever asked for it was told.
    const opened = await before?.catch(() => undefined);
    opened?.close();
    return Projector.open(this.#kit, projection);
  }

  /** Events that are to be appended, complete. @throws InvalidRequestError where they are none that the app knows */
  async checkEvents(events: readonly NewEvent[]): Promise<readonly NewEvent[]> {
    const { eventTypes, limits } = this.#kit;
    return eventTypes === undefined ? events : checkEvents(eventTypes, events, { limits });
  }

  /** @param now where the device was when it was asked to */
  subscribe(handler: Handler, options: SubscribeOptions, now: number): () => void {
    const subscriber = new Subscriber(this.#kit, handler, options, now);
    return () => subscriber.end();
  }

  subscription(name: string): SubscriptionKeeper {
    return new SubscriptionKeeper(this.#kit, name);
  }

  watchStream<State>(initial: LiveState<State>, decider: Folding<State>, set: (value: LiveState<State>) => void): () => void {
    return watchStream(this.#kit, this.#aggregates, initial, decider, set);
  }

  readConflicts(resolve: (seq: number, isRebase: boolean) => Promise<void>): Promise<Conflict[]> {
    return readConflicts(this.#kit, resolve);
  }

  resolveParked(seq: number, isRebase: boolean): Promise<void> {
    return resolveParked(this.#kit, seq, isRebase, this.resolve);
  }

  exportAll(): AsyncGenerator<Exported, void, undefined> {
    return exportAll(this.#kit);
  }

  resetHistory(keepPending: boolean): Promise<void> {
    return this.#kit.database.run((db) => resetHistory(db, keepPending));
  }

  /** The app was opened with another filter, or with an edge for the first time. Answers the history as it is then. */
  async followFilter(filter: Scope): Promise<History> {
    const { database } = this.#kit;
    await database.run(takeOverDeviceHistory);
    return database.run((db) => followFilter(db, filter));
  }

  followStreams(streamIds: readonly string[]): Promise<History> {
    return this.#kit.database.run((db) => followStreams(db, streamIds));
  }
}

function watched(changes: Set<() => void>, listener: () => void): () => void {
  changes.add(listener);
  return () => changes.delete(listener);
}
