/**
 * The border between the first chunk and the second. The second chunk, this file and what it imports, is loaded when it is first needed: an
 * app that only appends, reads and syncs never loads it. Only `store-parts.ts` calls `import("./later.ts")`. No file of the first chunk
 * imports a value from this file or from a file that only the second chunk has.
 */

import type { DecidedEvent, Decider, Folding } from "../shared/decider/decider.ts";
import { withDismissed } from "../shared/device/loss.ts";
import type { Claim } from "../shared/device/owner.ts";
import { type AnyProjection, checkProjection, type IndexField, type Projection } from "../shared/device/projection.ts";
import type { Replica, Scope } from "../shared/device/replica.ts";
import type { Resolve } from "../shared/device/resolution.ts";
import { InvalidRequestError } from "../shared/errors.ts";
import type { ConfirmedEvent } from "../shared/event/event.ts";
import type { EventTypes } from "../shared/event/event-types.ts";
import type { Limits } from "../shared/limits.ts";
import { type Conflict, readConflicts } from "./conflicts/conflicts.ts";
import { resolveParked } from "./conflicts/resolve-parked.ts";
import { createResolver } from "./conflicts/resolver.ts";
import type { StoreInternals } from "./internals.ts";
import { Projector } from "./rows/projector.ts";
import { deleteRows } from "./rows/row-versions.ts";
import { Table } from "./rows/table.ts";
import { eraseStore, finishDeletion } from "./storage/erase.ts";
import { type ExportedCommit, exportAll } from "./storage/export.ts";
import { handOver } from "./storage/hand-over.ts";
import { resetReplica } from "./storage/reset.ts";
import { followFilters } from "./storage/scope.ts";
import { type SignedOut, signOut } from "./storage/sign-out.ts";
import { takeOverLocalStore } from "./storage/take-over.ts";
import { changeIdentity } from "./storage/tally.ts";
import { type Aggregate, Aggregates, type FoldOptions } from "./streams/aggregates.ts";
import { checkEvents, createReader } from "./streams/event-checks.ts";
import type { EventCodec, EventTypeOptions } from "./streams/event-codec.ts";
import { type HandleOptions, type HandleResult, handleCommand } from "./streams/handle.ts";
import { type LiveState, watchStream } from "./streams/live-state.ts";
import { SubscriptionControl } from "./subscription/control.ts";
import { type Handler, type SubscribeOptions, Subscriber } from "./subscription/subscriber.ts";
import { openFilters } from "./sync/filters.ts";
import { Tabs } from "./sync/tabs.ts";
import { IS_DEVELOPMENT } from "./tools/development.ts";
import { takesOver } from "./tools/hot-reload.ts";
import { Turns } from "./tools/turns.ts";

export { eraseStore, finishDeletion };

/** Checks appended events, and reads events in the current version of their type. For an app that has event types. */
export function createEventCodec(eventTypes: EventTypes, { onUnknownEvent }: EventTypeOptions, limits: Limits): EventCodec {
  return { read: createReader(eventTypes, onUnknownEvent), check: (events) => checkEvents(eventTypes, events, { limits }) };
}

export class LaterParts {
  readonly #internals: StoreInternals;
  readonly #aggregates: Aggregates;
  readonly #turns = new Turns();
  readonly #projectors = new Map<string, { readonly projection: AnyProjection; readonly projector: Promise<Projector> }>();
  readonly #subscriptions = new Map<string, SubscriptionControl>();
  /** Decides what happens to a commit whose expected version no longer holds. */
  readonly resolve: Resolve<ConfirmedEvent>;

  constructor(internals: StoreInternals) {
    this.#internals = internals;
    this.#aggregates = new Aggregates(internals);
    this.resolve = createResolver(internals);
  }

  async aggregateStream<State>(streamId: string, decider: Folding<State>, options: FoldOptions = {}): Promise<Aggregate<State>> {
    await this.#internals.fetched(streamId);
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
    const isOther = known?.projection.version === version && !isSame;
    if (isOther && !takesOver(IS_DEVELOPMENT, known.projection, projection, `projection ${name}`)) {
      throw new InvalidRequestError(
        `Two different projections are named ${name} and have version ${version}. Create each once, in a module, and rename one, or raise its version.`,
        { field: "projection.name" },
      );
    }
    checkProjection(projection);
    const projector = isSame ? known.projector : this.#openProjector(projection, known?.projector, isOther);
    this.#projectors.set(name, { projection, projector });
    // If the projector can't be opened, the next call tries again.
    await projector.catch(() => {
      if (this.#projectors.get(name)?.projector === projector) this.#projectors.delete(name);
    });
    return new Table<Row, Index>(this.#internals, projection, await projector);
  }

  /**
   * Another projection replaces the previous one, e.g. after a module was reloaded.
   *
   * @param isAnew whether rows that are stored for this version may be folded by other code, and are built again
   */
  async #openProjector(projection: AnyProjection, before: Promise<Projector> | undefined, isAnew: boolean): Promise<Projector> {
    // If the previous one could not be opened, its own callers got the error.
    const opened = await before?.catch(() => undefined);
    opened?.close();
    if (isAnew) deleteRows(this.#internals, projection);
    return Projector.open(this.#internals, projection);
  }

  /** @param now the device's position when the app called `subscribe` */
  subscribe(handler: Handler, options: SubscribeOptions, now: number): () => void {
    const subscriber = new Subscriber(this.#internals, handler, options, now);
    return () => subscriber.end();
  }

  /** @throws StorageFailedError if its record can't be read; the next call reads it again */
  async subscription(name: string): Promise<SubscriptionControl> {
    const control = this.#subscriptions.get(name) ?? new SubscriptionControl(this.#internals, name);
    this.#subscriptions.set(name, control);
    await control.refresh();
    return control;
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

  signOut(discard: boolean): Promise<SignedOut> {
    return signOut(this.#internals, discard);
  }

  /** @param from the name of the database of nobody */
  async handOver(from: string, claim: Claim): Promise<void> {
    if (!(await handOver(this.#internals, from, claim))) return;
    // Tabs that are open on that database read it again.
    const tabs = new Tabs(from, () => undefined);
    tabs.post({ kind: "redirected", isReset: true });
    tabs.close();
  }

  /** Those that this tab has shown. Others stay. */
  async dismissLoss(): Promise<void> {
    const { database } = this.#internals;
    const { losses } = database.tally;
    database.tally.learn(await database.run((db) => changeIdentity(db, (identity) => withDismissed(identity, losses))));
  }

  resetReplica(keepPending: boolean): Promise<void> {
    return this.#internals.database.run((db) => resetReplica(db, keepPending));
  }

  /** For a store that is opened with another filter, or with `sync` for the first time. @returns the replica afterwards */
  async followFilter(filter: Scope): Promise<Replica> {
    const { database, name } = this.#internals;
    await database.run(takeOverLocalStore);
    // Other tabs may be open with filters of their own.
    const filters = [filter, ...(await openFilters(name))];
    return database.run((db) => followFilters(db, filters));
  }
}
