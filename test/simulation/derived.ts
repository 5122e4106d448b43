/**
 * What an app derives from events in a tab: states of streams with their snapshots, rows of a projection, live values, and subscriptions
 * with a name and without.
 */
import type { LiveState, LiveValue, Table } from "../../client/index.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { RETRIES } from "./checkers/subscriptions.ts";
import type { Device } from "./device.ts";
import type { Ground } from "./ground.ts";
import { atOneMoment, eventsOf, type Held, heldBy, unlessTyped } from "./looks.ts";
import { type Ledger, type LedgerVersion, ledgerOf, SUBSCRIBED, TURNOVER } from "./models/ledger.ts";
import type { Store, Tab } from "./tab.ts";

/** Looks of a tab in a world. */
const LOOKS = 8;
const SUBSCRIPTION = "worker";
const LIVE_STREAMS = 2;

type Control = Awaited<ReturnType<Store["subscription"]>>;

export class Derived {
  readonly #tab: Tab;
  readonly #device: Device;
  readonly #ground: Ground;
  readonly #store: Store;
  readonly #streams: readonly string[];
  readonly #version: LedgerVersion;
  readonly #live = new Map<string, LiveValue<LiveState<Ledger>>>();
  #table: Table<Ledger> | undefined;
  #control: Control | undefined;
  #endSubscription: (() => void) | undefined;

  constructor(tab: Tab, store: Store, ground: Ground, streams: readonly string[]) {
    this.#tab = tab;
    this.#device = tab.device;
    this.#ground = ground;
    this.#store = store;
    this.#streams = streams;
    this.#version = ground.random.chance(0.3) ? 2 : 1;
  }

  async run(): Promise<void> {
    const { random, params, faults } = this.#ground;
    const { rows, subscriptions, states } = params.derives;
    if (states) this.#watchStates();
    if (subscriptions) this.#subscribe();
    if (rows) this.#table = await unlessTyped(this.#tab, this.#store.project(TURNOVER));
    if (subscriptions && random.chance(0.7)) this.#control = await unlessTyped(this.#tab, this.#store.subscription(SUBSCRIPTION));
    while (!faults.isOver) {
      await this.#tab.pause(Math.max(1_000, random.wait((params.minutes * 60_000) / LOOKS)));
      await this.#care();
      if (states) await this.#lookAtState();
      if (rows && random.chance(0.5)) await this.lookAtRows();
    }
  }

  #watchStates(): void {
    for (const streamId of this.#streams.slice(0, this.#ground.random.between(0, LIVE_STREAMS))) {
      const live = this.#store.live(streamId, ledgerOf(1));
      live.subscribe(() => undefined);
      this.#live.set(streamId, live);
    }
  }

  #subscribe(): void {
    const { params, random } = this.#ground;
    if (params.scope === "all" && random.chance(0.3)) {
      const handle = (event: ConfirmedEvent) =>
        this.#ground.observe({ kind: "handled", device: this.#device.name, tab: this.#tab.name, event });
      this.#store.subscribe(handle, { from: "beginning" });
    }
    this.#subscribeByName();
  }

  #subscribeByName(): void {
    const { params } = this.#ground;
    this.#endSubscription = this.#store.subscribe((event) => this.#handle(event), {
      name: SUBSCRIPTION,
      category: SUBSCRIBED,
      retries: RETRIES,
      maxConsecutiveDeadLetters: 2,
      onFailure: params.onFailure,
      onError: () => undefined,
    });
  }

  /** The handler takes its time, fails on some events, and a tab may end meanwhile. */
  async #handle(event: ConfirmedEvent): Promise<void> {
    const { random, faults } = this.#ground;
    const { failures, name: device } = this.#device;
    await this.#tab.pause(random.between(1, 40));
    const before = failures.get(event.id) ?? 0;
    const isHandled = faults.isOver || before >= failuresOf(event.id);
    if (!isHandled) failures.set(event.id, before + 1);
    this.#ground.count(isHandled ? "events handled by subscriptions" : "failures of handlers");
    this.#ground.observe({ kind: "handed", device, event, isHandled });
    if (!isHandled) throw new Error("The handler fails on this event.");
  }

  /** Whoever operates the subscription does so in any tab. */
  async #care(): Promise<void> {
    const { random } = this.#ground;
    const control = this.#control;
    if (this.#endSubscription !== undefined && random.chance(0.1)) {
      this.#endSubscription();
      this.#subscribeByName();
    }
    const { state, deadLetters = 0, error } = control?.status ?? {};
    if (control === undefined || state === undefined || !random.chance(state === "stopped" ? 0.4 : 0.1)) return;
    if (state === "stopped" && error?.includes("history") === true) return this.#restart(control);
    if (state === "stopped" || state === "waiting") {
      this.#ground.count("subscriptions resumed");
      await unlessTyped(this.#tab, control.resume());
    } else if (random.chance(0.2)) await this.#restart(control);
    else if (deadLetters > 0) {
      this.#ground.count("dead letters replayed");
      await unlessTyped(this.#tab, control.replay());
    }
  }

  async #restart(control: Control): Promise<void> {
    const { name: tab, device } = this.#tab;
    const told = { kind: "subscription-reset", device: device.name, tab } as const;
    this.#ground.observe({ ...told, isDone: false });
    this.#ground.count("subscriptions restarted");
    const isDone = await unlessTyped(
      this.#tab,
      control.reset(0).then(() => true),
    );
    if (isDone) this.#ground.observe({ ...told, isDone });
  }

  async #lookAtState(): Promise<void> {
    const streamId = this.#ground.random.pick(this.#streams);
    const decider = ledgerOf(this.#version);
    const seen = await atOneMoment(this.#tab, async () => ({
      read: await this.#store.aggregateStream(streamId, decider),
      events: await eventsOf(this.#tab, streamId),
    }));
    if (seen === undefined) return;
    const { read, events } = seen;
    const { state, version } = read;
    this.#ground.observe({ kind: "stream", device: this.#device.name, streamId, events, conflicts: undefined });
    this.#ground.observe({ kind: "state", device: this.#device.name, streamId, app: this.#version, state, version, events });
  }

  async lookAtRows(): Promise<void> {
    const table = this.#table;
    if (table === undefined || table.status.state !== "ready") return;
    // A tab that is frozen for good keeps its lock, and nobody folds in its place. Queries are right all the same.
    const isFree = this.#device.tabs.every(({ isFrozen }) => !isFrozen);
    const seen = await atOneMoment(this.#tab, async () => {
      if (isFree && this.#ground.faults.isOver) await table.caughtUp();
      return { rows: await table.query(), held: await heldBy(this.#tab) };
    });
    if (seen === undefined) return;
    const { rows, held } = seen;
    const pending = held.pending.flatMap(({ streamId, events }) => events.map((event) => ({ ...event, streamId })));
    this.#ground.count("looks at rows");
    this.#ground.observe({ kind: "rows", device: this.#device.name, rows, confirmed: held.confirmed, pending });
  }

  /** After everything is well: each part, once more. */
  async lookAtAll(held: Held): Promise<void> {
    const { name: tab, device } = this.#tab;
    if (this.#ground.params.derives.states) await this.#lookAtState();
    await this.lookAtRows();
    for (const [streamId, live] of this.#live) {
      const events = await unlessTyped(this.#tab, eventsOf(this.#tab, streamId));
      const { state, version } = live.getSnapshot();
      if (events !== undefined) this.#ground.observe({ kind: "live", tab, streamId, state, version, events });
    }
    const letters = await unlessTyped(this.#tab, this.#control?.deadLetters() ?? Promise.resolve([]));
    const { position } = this.#control?.status ?? {};
    if (position === undefined || letters === undefined) return;
    // A tab that is frozen for good keeps the subscription's lock too. If its device was reset meanwhile, the position is one of the former history.
    if (device.tabs.some(({ isFrozen }) => isFrozen)) return;
    const deadLetters = letters.map(({ id }) => id);
    this.#ground.observe({ kind: "subscription", device: device.name, position, deadLetters, events: held.confirmed });
  }

  /** What is still to be done, as this tab shows it. */
  unsettled(head: number): readonly string[] {
    const left: string[] = [];
    const { state, error, position } = this.#table?.status ?? {};
    if (state === "failed") left.push(`has its rows failed: ${String(error)}`);
    else if (position !== undefined && position < head) left.push(`has its rows at #${position} of #${head}`);
    const subscription = this.#control?.status;
    if (subscription !== undefined && head > 0 && (subscription.lag > 0 || subscription.state !== "running"))
      left.push(`has its subscription ${subscription.state} at #${subscription.position} of #${head}`);
    return left;
  }

  /** After everything is well, somebody resumes what has stopped. */
  async tend(): Promise<void> {
    const control = this.#control;
    const { state, error } = control?.status ?? {};
    if (control === undefined || state !== "stopped") return;
    if (error?.includes("history") === true) await this.#restart(control);
    else await unlessTyped(this.#tab, control.resume());
  }
}

/** The handler fails on some events once or twice, and on a few until everything is well again. */
function failuresOf(id: string): number {
  let bits = 7;
  for (let i = 0; i < id.length; i++) bits = Math.imul(bits ^ id.charCodeAt(i), 0x01000193) >>> 0;
  const part = bits % 40;
  return part === 0 ? Number.POSITIVE_INFINITY : part <= 3 ? part : 0;
}
