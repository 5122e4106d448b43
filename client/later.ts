/** Modelling over a device's store: what of a store is loaded when it is first needed. */

import type { DecidedEvent, Decider, Folding } from "../shared/device/decider.ts";
import { type AnyProjection, checkProjection, type IndexField, type Projection } from "../shared/device/projection.ts";
import type { Replica, Scope } from "../shared/device/replica.ts";
import type { Resolve } from "../shared/device/resolution.ts";
import { InvalidRequestError } from "../shared/errors.ts";
import type { ConfirmedEvent, NewEvent } from "../shared/event/event.ts";
import { type Conflict, readConflicts } from "./conflicts/conflicts.ts";
import { resolveParked } from "./conflicts/resolve-parked.ts";
import { createResolver } from "./conflicts/resolver.ts";
import type { StoreCore, StoreInternals } from "./internals.ts";
import { Projector } from "./rows/projector.ts";
import { Table } from "./rows/table.ts";
import { type ExportedCommit, exportAll } from "./storage/export.ts";
import { resetReplica } from "./storage/reset.ts";
import { followFilter, followStreams } from "./storage/scope.ts";
import { takeOverLocalStore } from "./storage/take-over.ts";
import { type Aggregate, Aggregates, type FoldOptions } from "./streams/aggregates.ts";
import { checkEvents, createReader } from "./streams/event-checks.ts";
import { type HandleOptions, type HandleResult, handleCommand } from "./streams/handle.ts";
import { type LiveState, watchStream } from "./streams/live-state.ts";
import { SubscriptionControl } from "./subscription/control.ts";
import { type Handler, type SubscribeOptions, Subscriber } from "./subscription/subscriber.ts";
import { Turns } from "./tools/turns.ts";

export class LaterParts {
  readonly #internals: StoreInternals;
  readonly #aggregates: Aggregates;
  readonly #turns = new Turns();
  readonly #projectors = new Map<string, { readonly projection: AnyProjection; readonly projector: Promise<Projector> }>();
  readonly read: StoreInternals["read"];
  /** What becomes of a commit whose expectation others have overtaken. */
  readonly resolve: Resolve<ConfirmedEvent>;

  constructor(opened: StoreCore) {
    const { eventTypes, onUnknownEvent } = opened;
    this.read = eventTypes === undefined ? (event) => event : createReader(eventTypes, onUnknownEvent);
    this.#internals = { ...opened, read: this.read, watch: (listener) => watched(opened.changes, listener) };
    this.#aggregates = new Aggregates(this.#internals);
    this.resolve = createResolver(this.#internals);
  }

  aggregateStream<State>(streamId: string, decider: Folding<State>, options: FoldOptions = {}): Promise<Aggregate<State>> {
    return this.#aggregates.read(streamId, decider, options);
  }

  handle<State, Command, Event extends DecidedEvent>(
    streamId: string,
    decider: Decider<State, Command, Event, never>,
    command: Command,
    options: HandleOptions,
  ): Promise<HandleResult<State, Event>> {
    return handleCommand(this.#internals, this.#aggregates, this.#turns, streamId, decider, command, options);
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
    return new Table<Row, Index>(this.#internals, projection, await projector);
  }

  /** Another version, e.g. of a module that was loaded anew, takes the place of the one before. */
  async #openProjector(projection: AnyProjection, before: Promise<Projector> | undefined): Promise<Projector> {
    // Where that one could not be opened, whoever asked for it was told.
    const opened = await before?.catch(() => undefined);
    opened?.close();
    return Projector.open(this.#internals, projection);
  }

  /** Events that are to be appended, complete. @throws InvalidRequestError where they are none that the app knows */
  async checkEvents(events: readonly NewEvent[]): Promise<readonly NewEvent[]> {
    const { eventTypes, limits } = this.#internals;
    return eventTypes === undefined ? events : checkEvents(eventTypes, events, { limits });
  }

  /** @param now where the device was when it was asked to */
  subscribe(handler: Handler, options: SubscribeOptions, now: number): () => void {
    const subscriber = new Subscriber(this.#internals, handler, options, now);
    return () => subscriber.end();
  }

  subscription(name: string): SubscriptionControl {
    return new SubscriptionControl(this.#internals, name);
  }

  watchStream<State>(initial: LiveState<State>, decider: Folding<State>, set: (value: LiveState<State>) => void): () => void {
    return watchStream(this.#internals, this.#aggregates, initial, decider, set);
  }

  readConflicts(resolve: (seq: number, isRebase: boolean) => Promise<void>): Promise<Conflict[]> {
    return readConflicts(this.#internals, resolve);
  }

  resolveParked(seq: number, isRebase: boolean): Promise<void> {
    return resolveParked(this.#internals, seq, isRebase, this.resolve);
  }

  exportAll(): AsyncGenerator<ExportedCommit, void, undefined> {
    return exportAll(this.#internals);
  }

  resetReplica(keepPending: boolean): Promise<void> {
    return this.#internals.database.run((db) => resetReplica(db, keepPending));
  }

  /** The app was opened with another filter, or with an edge for the first time. Answers the history as it is then. */
  async followFilter(filter: Scope): Promise<Replica> {
    const { database } = this.#internals;
    await database.run(takeOverLocalStore);
    return database.run((db) => followFilter(db, filter));
  }

  followStreams(streamIds: readonly string[]): Promise<Replica> {
    return this.#internals.database.run((db) => followStreams(db, streamIds));
  }
}

function watched(changes: Set<() => void>, listener: () => void): () => void {
  changes.add(listener);
  return () => changes.delete(listener);
}
