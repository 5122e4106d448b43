/** The store as an app uses it: a door. What is behind it is in `store-parts.ts`; what each part does is in its own folder. */
import type { DecidedEvent, Decider, Folding } from "../shared/decider/decider.ts";
import { initialStateOf } from "../shared/decider/initial-state.ts";
import type { IndexField, Projection } from "../shared/device/projection.ts";
import { InvalidRequestError } from "../shared/errors.ts";
import type { ConfirmedEvent, NewEvent } from "../shared/event/event.ts";
import { completeOptions } from "../shared/options.ts";
import type { Conflict } from "./conflicts/conflicts.ts";
import type { AppendOptions, AppendResult, EventStore, ReadAllOptions, ReadStreamOptions, StreamSlice } from "./event-store.ts";
import type { Table } from "./rows/table.ts";
import type { ExportedCommit } from "./storage/export.ts";
import type { SignedOut } from "./storage/sign-out.ts";
import {
  DELETE_OPTIONS,
  type DeleteOptions,
  RESET_OPTIONS,
  type ResetOptions,
  SIGN_OUT_OPTIONS,
  type SignOutOptions,
  type StoreOptions,
  storeName,
} from "./store-options.ts";
import { importLater, openParts, type StoreParts } from "./store-parts.ts";
import type { Aggregate, FoldOptions } from "./streams/aggregates.ts";
import type { HandleOptions, HandleResult } from "./streams/handle.ts";
import type { LiveState } from "./streams/live-state.ts";
import type { SubscriptionControl } from "./subscription/control.ts";
import type { Handler, SubscribeOptions } from "./subscription/subscriber.ts";
import type { Status } from "./sync/status.ts";
import { LiveValue } from "./tools/live-value.ts";
import { whenLoaded } from "./tools/when-loaded.ts";

/**
 * Opens the device's store. If there is none, it is made.
 *
 * @throws InvalidRequestError for an option that is wrong; `field` names it
 * @throws OwnerMismatchError if the device's store belongs to another address than `sync.url`
 * @throws StorageFailedError if IndexedDB is missing or fails to open
 * @throws UnavailableError if a part of the app that the options need can't be loaded
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  return new Store(await openParts(options));
}

/**
 * Deletes a store of this device: its events, pending commits too, and the rows of its projections. What the edge has stays there. Stores of
 * all tabs on it are closed; their status is `deleted`. If the deletion is cut off, the next `openStore` or `deleteStore` finishes it.
 *
 * @param name as `openStore` got it
 * @throws StorageFailedError if the browser can't list databases, or a tab that does not react holds one
 * @throws UnavailableError if a part of the app can't be loaded; nothing was deleted
 */
export async function deleteStore(name: string, options: DeleteOptions = {}): Promise<void> {
  if (!storeName.accepts(name)) throw new InvalidRequestError(`name must be ${storeName.what}.`, { field: "name" });
  const checked = completeOptions(options, DELETE_OPTIONS);
  await (await importLater()).eraseStore(name, checked);
}

/** Every method but `status`, `liveStatus` and `conflicts` throws StoreClosedError if the store was closed, and StorageFailedError if IndexedDB fails. */
export class Store implements EventStore {
  readonly #parts: StoreParts;

  /** @internal Use `openStore`. */
  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** The status as this tab knows it. A new object after each change. */
  get status(): Status {
    return this.#parts.board.current;
  }

  /** The status as it changes. The same live value at each call. */
  liveStatus(): LiveValue<Status> {
    return this.#parts.board.live;
  }

  async appendToStream(streamId: string, events: readonly NewEvent[], options: AppendOptions = {}): Promise<AppendResult> {
    return this.#parts.append(streamId, events, options);
  }

  async readStream(streamId: string, options: ReadStreamOptions = {}): Promise<StreamSlice> {
    return this.#parts.reader.readStream(streamId, options);
  }

  readAll(options: ReadAllOptions = {}): AsyncGenerator<ConfirmedEvent, void, undefined> {
    return this.#parts.reader.readAll(options);
  }

  /**
   * Folds a stream's events into its state. If there is no such stream, the state is the decider's initial one, at version 0. A stream that the
   * device does not follow is fetched, and followed from then on.
   *
   * @throws UnavailableError if the stream is not on this device and can't be fetched
   */
  async aggregateStream<State>(streamId: string, decider: Folding<State>, options?: FoldOptions): Promise<Aggregate<State>> {
    return (await this.#parts.later()).aggregateStream(streamId, decider, options);
  }

  /**
   * Lets the decider decide a command on the stream's state, and appends the events that it returns. If another tab was faster, it decides
   * again. The command is stored with the pending commit: if the edge holds others' events first, it is decided again on those.
   *
   * @throws what `decide` throws: the command is refused, and nothing is appended
   */
  async handle<State, Command, Event extends DecidedEvent>(
    streamId: string,
    decider: Decider<State, Command, Event, never>,
    command: NoInfer<Command>,
    options: HandleOptions = {},
  ): Promise<HandleResult<State, Event>> {
    return (await this.#parts.later()).handle(streamId, decider, command, options);
  }

  /** A stream's state as it changes, for user interfaces. A stream that the device does not follow is fetched; until then the status is `failed`. */
  live<State>(streamId: string, decider: Folding<State>): LiveValue<LiveState<State>> {
    const initial: LiveState<State> = { streamId, state: initialStateOf(decider), version: 0, pending: 0, status: "loading" };
    return new LiveValue(initial, (set) =>
      whenLoaded(
        this.#parts.later(),
        (later) => later.watchStream(initial, decider, set),
        (error) => set({ ...initial, status: "failed", error }),
      ),
    );
  }

  /**
   * Calls `handler` with confirmed events in position order, at least once each, and with the next one when it has handled the one before.
   * With a name its checkpoint is durable, and one tab of the device at a time handles. It continues until the returned function is called.
   *
   * @param options if they are wrong, a part of the app can't be loaded, or the browser denies the Web Lock, `onError` is called. Without
   *   `onError` that is an uncaught error
   * @returns a function that ends it
   */
  subscribe(handler: Handler, options: SubscribeOptions = {}): () => void {
    const now = this.status.cursor?.position ?? 0;
    return whenLoaded(this.#parts.later(), (later) => later.subscribe(handler, options, now), options.onError);
  }

  /** The control of a named subscription of this device, with its status. The same object for the same name. */
  async subscription(name: string): Promise<SubscriptionControl> {
    return (await this.#parts.later()).subscription(name);
  }

  /** Folds the feed into rows, in the background. The same table for the same projection. */
  async project<Row, Event, Index extends IndexField<Row> = never>(projection: Projection<Row, Event, Index>): Promise<Table<Row, Index>> {
    return (await this.#parts.later()).project(projection);
  }

  /**
   * Pushes the outbox and pulls the feed. Resolves when the outbox is empty and the feed is applied up to the head seen. Commits that the
   * edge rejects do not make it reject: they are in `conflicts()`. If it rejects, a store that is automatic continues to retry.
   *
   * @throws UnavailableError if the edge can't be reached, or its log lags
   * @throws UnauthenticatedError, ForbiddenError if the edge rejects the token
   * @throws OwnerMismatchError if the token is another person's than the store; nothing is sent
   * @throws LogMismatchError, PositionAheadError if the edge holds another history; nothing is merged
   * @throws StoreFullError, StorageFailedError if this device can't store what it received
   * @throws CommitsLostError if commits that were on this device alone are gone (`status.lost`); what is left is synced
   * @throws InvalidRequestError if the store was opened without `sync`
   */
  async sync(): Promise<void> {
    await this.#parts.sync();
  }

  /** The parked commits, oldest first. A new array after each change. */
  conflicts(): readonly Conflict[] {
    return this.#parts.overview.conflicts;
  }

  /**
   * The app has taken note of `status.lost`, e.g. has shown it to the person: it becomes null, in all tabs, and `sync()` resolves again. What
   * is lost later is shown again.
   */
  async dismissLoss(): Promise<void> {
    await this.#parts.dismissLoss();
  }

  /**
   * Asks the browser not to evict this site's data, as `openStore` does unless `persist` is false. Firefox asks the person, so call it in a
   * gesture that shows why, e.g. in the handler of a click.
   *
   * @returns whether the browser has promised it; null if it can't be asked
   */
  async persist(): Promise<boolean | null> {
    this.#parts.assertOpen();
    return this.#parts.persist(true);
  }

  /** Everything that the device holds: confirmed events in position order, then pending commits, then parked ones. */
  async *export(): AsyncGenerator<ExportedCommit, void, undefined> {
    yield* (await this.#parts.later()).exportAll();
  }

  /**
   * Deletes the confirmed events and the cursor of the device: the way on if the edge holds another history (`diverged`). The next sync
   * fetches what the edge holds now.
   *
   * @throws InvalidRequestError if the store was opened without `sync`
   */
  async reset(options: ResetOptions = {}): Promise<void> {
    const { keepPending } = completeOptions(options, RESET_OPTIONS);
    const syncer = this.#parts.syncer();
    await this.#parts.appender.idle();
    await (await this.#parts.later()).resetReplica(keepPending);
    await syncer.redirected(true);
  }

  /**
   * Deletes the data of this store's person on this device, and closes the store in all tabs; their status is `deleted`. If something exists
   * on this device alone, it is returned and nothing is deleted, unless `discard` is true. Call `sync()` before, so that nothing is left.
   *
   * @throws OwnerMismatchError if the data is another person's
   */
  async signOut(options: SignOutOptions = {}): Promise<SignedOut> {
    const { discard } = completeOptions(options, SIGN_OUT_OPTIONS);
    const later = await this.#parts.later();
    await this.#parts.appender.idle();
    return later.signOut(discard);
  }

  /** Waits for appends in flight, ends a sync in flight, and closes the database. Resolves at once if it was closed before. */
  async close(): Promise<void> {
    await this.#parts.close();
  }
}
