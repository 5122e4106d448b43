/** What an app does in a tab: it reads, appends based on what it read, handles commands, syncs, and resolves conflicts. */
import type { Commit } from "../../shared/event/commit.ts";
import type { EventBody } from "../../shared/event/event.ts";
import type { ExpectedVersion } from "../../shared/expected-version.ts";
import type { Json } from "../../shared/json.ts";
import { toVersion } from "../../shared/order.ts";
import { parseStreamId } from "../../shared/stream-id.ts";
import type { Device } from "./device.ts";
import type { Ground } from "./ground.ts";
import { eventId } from "./identity.ts";
import { eventsOf, lookAt, lookAtAll, unlessTyped } from "./looks.ts";
import { type AppVersion, commandFor, NotEnough, SHELF, type StockDecider } from "./models/stock.ts";
import { poisoned, poisonOf } from "./poison.ts";
import type { Store, Tab } from "./tab.ts";

/** What all apps and writers may still do. */
export interface Budget {
  left: number;
}

type Conflict = ReturnType<Store["conflicts"]>[number];

const TYPES = ["Counted", "Noted", "Closed"];

export interface AppParts {
  readonly tab: Tab;
  readonly store: Store;
  readonly budget: Budget;
  readonly streams: readonly string[];
  /** Milliseconds between two acts. */
  readonly pace: number;
  /** What the app has made on this device, to be tried again. */
  readonly commits: Commit[];
  /** Undefined if the app of the tab has no deciders. */
  readonly stock: StockDecider | undefined;
  readonly version: AppVersion;
}

export class App {
  readonly #parts: AppParts;
  readonly #tab: Tab;
  readonly #device: Device;
  readonly #ground: Ground;
  readonly #store: Store;
  /** When each call began that has not ended yet. */
  readonly #calls = new Set<{ readonly since: number }>();

  constructor(parts: AppParts) {
    this.#parts = parts;
    this.#tab = parts.tab;
    this.#device = parts.tab.device;
    this.#ground = parts.tab.ground;
    this.#store = parts.store;
  }

  async run(): Promise<void> {
    const { budget, pace } = this.#parts;
    for (;;) {
      await this.#tab.pause(this.#ground.random.wait(pace));
      if (budget.left <= 0) continue;
      budget.left--;
      // Nobody waits for one thing before they do the next.
      void this.#counted(() => this.#act());
    }
  }

  async #counted(act: () => Promise<void>): Promise<void> {
    const call = { since: this.#ground.scheduler.now };
    this.#calls.add(call);
    await act();
    this.#calls.delete(call);
  }

  /** When the oldest call began that has not ended yet. */
  get oldestCall(): number | undefined {
    const [first] = this.#calls;
    return first?.since;
  }

  async #act(): Promise<void> {
    const { random } = this.#ground;
    const dice = random.next();
    const { stock } = this.#parts;
    if (dice < 0.2 && stock !== undefined) return this.#handle(stock);
    if (dice < 0.62) return this.#write();
    if (dice < 0.7) return this.#retry();
    if (dice < 0.8) return this.look();
    if (dice < 0.86) return this.sync().then(() => undefined);
    if (dice < 0.96) return this.#resolveOne();
    this.#tab.page.hide();
    await this.#tab.pause(random.spread(100, 60_000));
    this.#tab.page.show();
  }

  async look(): Promise<void> {
    const { streams } = this.#parts;
    await lookAtAll(this.#tab, this.#ground.params.hasStock ? [...streams, SHELF] : streams);
  }

  /** Reads a stream, thinks, and appends to it. */
  async #write(): Promise<void> {
    const { random } = this.#ground;
    const streamId = random.pick(this.#parts.streams);
    const known = await unlessTyped(this.#tab, eventsOf(this.#tab, streamId));
    const version = known?.at(-1)?.version ?? 0;
    if (random.chance(0.3)) await this.#tab.pause(random.spread(100, 10_000));
    const count = random.chance(0.1) ? random.between(4, 12) : random.between(1, 3);
    const events = Array.from({ length: count }, () => this.#newEvent());
    if (poisonOf(events) === "fails") this.#device.stuck.add(streamId);
    await this.#append({ streamId: parseStreamId(streamId), expectedVersion: this.#expectation(version), events });
  }

  #expectation(version: number): ExpectedVersion {
    const { random } = this.#ground;
    const dice = random.next();
    if (dice < 0.65) return version === 0 && random.chance(0.5) ? "no-stream" : toVersion(version);
    if (dice < 0.8) return "any";
    if (dice < 0.9) return "stream-exists";
    return dice < 0.95 ? "no-stream" : toVersion(Math.max(0, version + random.between(-1, 1)));
  }

  #newEvent(): EventBody {
    const { random, faults } = this.#ground;
    const { memory, name } = this.#device;
    const number = ++memory.made;
    const data = { key: `${name}-${number}`, number };
    const poison = faults.strikes("poison") ? random.pick(["fails", "rejected", "large"] as const) : undefined;
    return {
      id: eventId(name, number),
      type: random.pick(TYPES),
      schemaVersion: 1,
      data: poison === undefined ? data : poisoned(data, poison),
      metadata: {},
      occurredAt: this.#device.time(),
    };
  }

  /** Appends what was appended before, like a caller that never got an answer; or other events with the same ids, which is a mistake. */
  async #retry(): Promise<void> {
    const { random } = this.#ground;
    const { commits } = this.#parts;
    if (commits.length === 0) return;
    const commit = random.pick(commits);
    if (random.chance(0.8)) return this.#append(commit);
    await this.#append({ ...commit, events: commit.events.map((event) => ({ ...event, data: mistaken(event.data) })) }, false);
  }

  async #append(commit: Commit, isToBeRemembered = true): Promise<void> {
    const { name: device } = this.#device;
    const { commits } = this.#parts;
    const { streamId, expectedVersion, events } = commit;
    this.#ground.observe({ kind: "called", device, commit });
    if (isToBeRemembered && !commits.includes(commit)) commits.push(commit);
    try {
      const { firstVersion, version, duplicate } = await this.#store.appendToStream(streamId, events, { expectedVersion });
      this.#ground.observe({ kind: "accepted", device, commit, firstVersion, version, isDuplicate: duplicate });
      await lookAt(this.#tab, streamId);
    } catch (error) {
      this.#onRefused(error, commit);
    }
  }

  #onRefused(error: unknown, commit: Commit): void {
    const { HeadwaterError } = this.#tab.client;
    if (error instanceof HeadwaterError) {
      this.#ground.observe({ kind: "refused", device: this.#device.name, commit, code: error.code });
      this.#ground.count(`appends refused: ${error.code}`);
    } else if (error instanceof NotEnough) this.#ground.count("commands refused at once");
    else this.#tab.uncaught(error);
  }

  /** Has the decider handle a command. */
  async #handle(stock: StockDecider): Promise<void> {
    const { random } = this.#ground;
    const { name: device, memory } = this.#device;
    const key = `${device}-S${++memory.made}`;
    const command = commandFor(
      this.#parts.version,
      random.chance(0.35)
        ? { type: "Fill", key, units: random.between(1, 5) }
        : { type: "Take", key, wanted: random.between(1, 4), orFewer: random.chance(0.4) },
    );
    const event = { id: key, type: "", schemaVersion: 1, data: { key }, metadata: {}, occurredAt: "" };
    const commit: Commit = { streamId: parseStreamId(SHELF), expectedVersion: "any", events: [event] };
    this.#ground.observe({ kind: "called", device, commit });
    this.#ground.observe({ kind: "commanded", device, key, command: { decider: "stock", data: command } });
    try {
      const { version } = await this.#store.handle(SHELF, stock, command);
      this.#ground.count("commands handled");
      this.#ground.observe({ kind: "accepted", device, commit, firstVersion: version, version, isDuplicate: false });
      await lookAt(this.#tab, SHELF);
    } catch (error) {
      this.#onRefused(error, commit);
    }
  }

  /** @returns whether it resolved */
  async sync(): Promise<boolean> {
    const since = this.#ground.scheduler.now;
    const isDone = await unlessTyped(
      this.#tab,
      this.#store.sync().then(() => true),
    );
    if (isDone === undefined) return false;
    const doneAt = this.#ground.scheduler.now;
    this.#ground.count("sync() resolved");
    await this.look();
    this.#ground.observe({ kind: "synced", device: this.#device.name, since, doneAt });
    return true;
  }

  async #resolveOne(): Promise<void> {
    const { random } = this.#ground;
    const conflicts = this.#store.conflicts();
    if (conflicts.length > 0) await this.resolve(random.pick(conflicts), random.pick(["rebase", "rebase", "discard"]));
  }

  async resolve(conflict: Conflict, how: "rebase" | "discard"): Promise<void> {
    const { name: device } = this.#device;
    const { commits } = this.#parts;
    const { streamId, events, reason } = conflict;
    const at = commits.findIndex((commit) => commit.events[0]?.id === events[0]?.id);
    // Whoever discards a commit does not try it again.
    if (how === "discard" && at >= 0) commits.splice(at, 1);
    const seen = { streamId, events, reason, shown: conflict };
    this.#ground.tell(() => `${this.#tab.name}: resolves ${streamId} ${events[0]?.id}: ${how}`);
    const told = { kind: "resolved", device, conflict: seen, how } as const;
    this.#ground.observe({ ...told, isDone: false, isListed: true });
    const isDone = await unlessTyped(
      this.#tab,
      conflict[how]().then(() => true),
    );
    if (isDone === undefined) return;
    this.#ground.count(`conflicts resolved: ${how}`);
    this.#ground.observe({ ...told, isDone: true, isListed: this.#store.conflicts().includes(conflict) });
    await lookAt(this.#tab, streamId);
  }

  async reset(): Promise<void> {
    const { name: device } = this.#device;
    this.#ground.tell(() => `${this.#tab.name}: resets`);
    this.#ground.observe({ kind: "reset", device });
    const isDone = await unlessTyped(
      this.#tab,
      this.#store.reset().then(() => true),
    );
    if (isDone === undefined) return;
    this.#ground.observe({ kind: "reset", device });
    this.#ground.count("resets");
  }
}

function mistaken(data: Json): Json {
  return typeof data === "object" && data !== null && !Array.isArray(data) ? { ...data, number: -1 } : data;
}
