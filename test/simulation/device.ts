/** A device: its storage, the tabs that share it, the lock that elects one of them, and the messages between them. */

import type { ParkedEntry } from "../../shared/device/outbox.ts";
import type { Resolve } from "../../shared/device/resolution.ts";
import { HeadwaterError } from "../../shared/errors.ts";
import type { ConfirmedEvent } from "../../shared/event/event.ts";
import { toVersion } from "../../shared/order.ts";
import { type Answer, failure, type Reply } from "./answers.ts";
import type { HeldToken, SeenConflict, SeenEvent } from "./checkers/observation.ts";
import { type Ground, timeAt } from "./ground.ts";
import { decidingAgain } from "./models/again.ts";
import { Derived } from "./models/derived.ts";
import { completed } from "./models/stock-app.ts";
import type { Party } from "./network.ts";
import { type Content, type Durability, Storage } from "./storage.ts";
import type { Hint, Tab } from "./tab.ts";

export class Device implements Party {
  readonly name: string;
  /** The store at the edge that it follows. */
  readonly store: string;
  readonly storage = new Storage();
  readonly lock = new Lock();
  /** What it derives from its events. */
  readonly derived: Derived;
  /** What becomes of a commit that others were faster than. */
  readonly resolve: Resolve<ConfirmedEvent>;
  token: HeldToken;
  isOffline = false;
  /** Nothing can be written. */
  hasNoRoom = false;
  /** Milliseconds by which its clock is wrong. */
  clockError = 0;
  tabs: readonly Tab[] = [];
  readonly #ground: Ground;
  #busyUntil = 0;

  constructor(ground: Ground, name: string, store: string, token: HeldToken, others: Resolve<ConfirmedEvent>) {
    this.#ground = ground;
    this.name = name;
    this.store = store;
    this.token = token;
    this.resolve = decidingAgain(ground, name, (events) => completed(this, events), others);
    this.derived = new Derived(ground, this);
  }

  get content(): Content {
    return this.storage.content;
  }

  time(): string {
    return timeAt(this.#ground.scheduler.now + this.clockError);
  }

  /**
   * Does `work` in a transaction of its own, after those that were asked for before.
   *
   * @param touched streams that it concerns, to be looked at afterwards
   */
  write<T>(
    tab: Tab,
    durability: Durability,
    work: (content: Content) => T,
    done: Reply<T>,
    touched: (result: T) => Iterable<string> = none,
  ): void {
    const { scheduler, random } = this.#ground;
    const end = Math.max(scheduler.now, this.#busyUntil) + random.between(1, 3);
    this.#busyUntil = end;
    scheduler.after(end - scheduler.now, () => this.#commit(tab, durability, work, done, touched));
  }

  #commit<T>(
    tab: Tab,
    durability: Durability,
    work: (content: Content) => T,
    done: Reply<T>,
    touched: (result: T) => Iterable<string>,
  ): void {
    if (!tab.isAlive) return;
    // The requests of a frozen tab are answered when it thaws: its transaction may be one of then.
    if (tab.isFrozen && this.#ground.random.chance(0.5)) return tab.run(() => this.#commit(tab, durability, work, done, touched));
    const answer = this.#transact(durability, work);
    tab.later(1, () => done(answer));
    if ("value" in answer) for (const streamId of touched(answer.value)) this.look(streamId);
  }

  #transact<T>(durability: Durability, work: (content: Content) => T): Answer<T> {
    if (this.hasNoRoom) return failure("store-full");
    if (this.#ground.faults.strikes("abort-write")) return failure("storage-failed");
    try {
      return { value: this.storage.transact(durability, work) };
    } catch (error) {
      if (!(error instanceof HeadwaterError)) throw error;
      return { error };
    }
  }

  read<T>(tab: Tab, work: (content: Content) => T, done: (result: T) => void): void {
    tab.later(this.#ground.random.between(1, 2), () => {
      const result = work(this.content);
      tab.later(1, () => done(result));
    });
  }

  /** What its user sees of a stream. */
  look(streamId: string): void {
    const { name: device } = this;
    const conflicts = this.content.get("parked").filter((entry) => entry.streamId === streamId);
    const seen: SeenConflict[] = conflicts.map((entry) => seenConflict(entry));
    this.#ground.observe({ kind: "stream", device, streamId, events: this.events(streamId), conflicts: seen });
  }

  events(streamId: string): readonly SeenEvent[] {
    const confirmed = this.content.confirmed(streamId).map((body): SeenEvent => {
      const { version, position, recordedAt } = body;
      return { body, version, position, recordedAt, isPending: false };
    });
    const pending = this.content.pending(streamId).flatMap((entry) =>
      entry.events.slice(entry.confirmed).map((body, i): SeenEvent => {
        const version = toVersion(entry.firstVersion + entry.confirmed + i);
        return { body, version, position: null, recordedAt: null, isPending: true };
      }),
    );
    return [...confirmed, ...pending.sort((a, b) => a.version - b.version)];
  }

  lookAtAll(streamIds: Iterable<string>): void {
    for (const streamId of streamIds) this.look(streamId);
    this.#ground.observe({ kind: "all", device: this.name, events: [...this.content.get("log")] });
  }

  /** What one tab tells the others; nobody may rely on it. */
  tell(from: Tab, hint: Hint): void {
    const { faults, random } = this.#ground;
    for (const tab of this.tabs) {
      if (tab === from) continue;
      const trouble = faults.strikes("lose-hint") ? random.pick(["lost", "double", "late"]) : undefined;
      if (trouble === "lost") continue;
      tab.later(trouble === "late" ? random.spread(100, 60_000) : 1, () => tab.hear(hint));
      if (trouble === "double") tab.later(random.between(1, 1000), () => tab.hear(hint));
    }
  }

  /** The browser dies with all its tabs, or the power goes. */
  crash(): number {
    for (const tab of this.tabs) tab.die();
    this.tabs = [];
    this.#busyUntil = this.#ground.scheduler.now;
    const lost = this.storage.crash(this.#ground.random, this.#ground.beside.random);
    this.derived.crash();
    this.#ground.tell(() => `${this.name}: crashes and loses ${lost} transactions`);
    this.#ground.observe({ kind: "crashed", device: this.name });
    return lost;
  }
}

export function seenConflict({ streamId, events, command, reason: { code, message } }: ParkedEntry): SeenConflict {
  return { streamId, events, code, command, reason: message };
}

function none(): readonly string[] {
  return [];
}

/** A Web Lock: one holder, the others in a queue; it can be stolen. A frozen tab keeps it. */
export class Lock {
  #holder: Tab | undefined;
  #waiting: readonly Tab[] = [];

  isHeldBy(tab: Tab): boolean {
    return this.#holder === tab;
  }

  get isWanted(): boolean {
    return this.#waiting.length > 0;
  }

  request(tab: Tab): void {
    this.#waiting = [...this.#waiting.filter((other) => other !== tab), tab];
    this.#grant();
  }

  steal(tab: Tab): void {
    const robbed = this.#holder;
    this.#waiting = this.#waiting.filter((other) => other !== tab);
    this.#holder = tab;
    robbed?.run(() => robbed.robbed());
    tab.run(() => tab.elected());
  }

  leave(tab: Tab): void {
    this.#waiting = this.#waiting.filter((other) => other !== tab);
    if (this.#holder !== tab) return;
    this.#holder = undefined;
    this.#grant();
  }

  #grant(): void {
    const [next, ...others] = this.#waiting;
    if (this.#holder !== undefined || next === undefined) return;
    this.#holder = next;
    this.#waiting = others;
    next.run(() => next.elected());
  }
}
