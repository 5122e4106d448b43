/**
 * A tab: it opens, freezes, thaws, closes or crashes, and takes part in the election of its device. Calls to a frozen tab wait until it
 * thaws, in order.
 */

import { type Lease, look, NOTHING_SEEN, nextBeat, UNHEARD } from "../../shared/device/leadership.ts";
import type { Scope } from "../../shared/device/replica.ts";
import type { Answer, Reply } from "./answers.ts";
import type { Device } from "./device.ts";
import type { Edge } from "./edge.ts";
import type { Ground } from "./ground.ts";
import { Leader } from "./leader.ts";
import type { Network } from "./network.ts";

/** What tabs tell each other. */
export type Hint =
  | { readonly kind: "appended" }
  /** The device follows more of the store, or less. */
  | { readonly kind: "scope" }
  | { readonly kind: "reset" }
  /** To the leader: bring everything in step. Told again until it is answered. */
  | { readonly kind: "called"; readonly ask: string }
  | { readonly kind: "heard"; readonly ask: string }
  | { readonly kind: "answered"; readonly ask: string; readonly answer: Answer<null> };

/** Milliseconds between two beats of a leader, and between two looks at them. */
const BEAT = 2000;
/** Looks at a leader that stands still, before its place is taken. */
const PATIENCE = 4;

export class Tab {
  readonly name: string;
  readonly device: Device;
  readonly ground: Ground;
  readonly network: Network;
  readonly edge: Edge;
  isAlive = true;
  isFrozen = false;
  leader: Leader | undefined;
  /** What the device follows, as far as this tab knows. */
  scope: Scope;
  #backlog: (() => void)[] = [];
  #watch = NOTHING_SEEN;
  #isTakingTerm = false;
  #calls = 0;
  /** What `sync()` was called for in this tab, and how often each was told. */
  readonly #asked = new Map<string, { readonly done: Reply<null>; told: number }>();

  constructor(name: string, device: Device, parts: { readonly ground: Ground; readonly network: Network; readonly edge: Edge }) {
    this.name = name;
    this.device = device;
    this.ground = parts.ground;
    this.network = parts.network;
    this.edge = parts.edge;
    this.scope = device.content.get("replica").scope;
  }

  open(): void {
    this.ground.tell(() => `${this.name}: opens`);
    this.device.lock.request(this);
    this.#every(BEAT, () => this.#beat());
  }

  /** Runs when the tab can. */
  run(work: () => void): void {
    if (!this.isAlive) return;
    if (this.isFrozen) this.#backlog.push(work);
    else work();
  }

  later(milliseconds: number, work: () => void): void {
    this.ground.scheduler.after(milliseconds, () => this.run(work));
  }

  #every(milliseconds: number, work: () => void): void {
    this.later(milliseconds, () => {
      work();
      this.#every(milliseconds, work);
    });
  }

  freeze(): void {
    this.ground.tell(() => `${this.name}: freezes`);
    this.isFrozen = true;
  }

  thaw(): void {
    if (!this.isAlive || !this.isFrozen) return;
    this.ground.tell(() => `${this.name}: thaws`);
    this.isFrozen = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const work of backlog) this.run(work);
  }

  /** Closes or crashes: nothing of it goes on, and the browser gives its lock away. */
  die(): void {
    this.ground.tell(() => `${this.name}: is gone`);
    this.isAlive = false;
    this.leader = undefined;
    this.#backlog = [];
    this.device.lock.leave(this);
  }

  elected(): void {
    if (this.#isTakingTerm) return;
    this.#isTakingTerm = true;
    const takeTerm = () =>
      this.device.write(
        this,
        "relaxed",
        (content) => {
          const lease = this.ground.rules.nextTerm(content.get("lease"));
          content.set("lease", lease);
          return { term: lease.term, replica: content.get("replica") };
        },
        (answer) => {
          if (!this.device.lock.isHeldBy(this)) {
            this.#isTakingTerm = false;
            return;
          }
          if ("error" in answer) return this.later(1000, takeTerm);
          this.#isTakingTerm = false;
          this.ground.count("takeovers");
          this.ground.tell(() => `${this.name}: leads, term ${answer.value.term}`);
          this.leader = new Leader(this, answer.value.term, answer.value.replica);
          this.leader.start();
          for (const ask of this.#asked.keys()) this.leader?.ask(ask);
        },
      );
    takeTerm();
  }

  /** Another tab has taken the lock. */
  robbed(): void {
    this.leader = undefined;
    this.#watch = NOTHING_SEEN;
    if (!this.device.lock.isHeldBy(this)) this.device.lock.request(this);
    // Whoever waits here waits for the next leader.
    for (const ask of this.#asked.keys()) this.#askLeader(ask);
  }

  /** A write of the leader found another term. */
  fenced(leader: Leader): void {
    if (this.leader !== leader) return;
    this.ground.count("fences");
    this.ground.tell(() => `${this.name}: is fenced, term ${leader.term}`);
    this.leader = undefined;
    if (this.device.lock.isHeldBy(this)) this.elected();
  }

  #beat(): void {
    const { device, leader } = this;
    if (leader !== undefined) {
      if (device.lock.isWanted) this.#showLife(leader);
      return;
    }
    if (!device.lock.isHeldBy(this))
      device.read(
        this,
        (content) => content.get("lease"),
        (lease) => this.#lookAt(lease),
      );
  }

  #showLife(leader: Leader): void {
    const { rules } = this.ground;
    this.device.write<boolean>(
      this,
      "relaxed",
      (content) => {
        const lease = content.get("lease");
        if (!rules.mayWrite(lease, leader.term)) return false;
        content.set("lease", nextBeat(lease));
        return true;
      },
      (answer) => {
        if ("value" in answer && !answer.value) this.fenced(leader);
      },
    );
  }

  #lookAt(lease: Lease): void {
    this.#watch = look(this.#watch, lease);
    if (!this.ground.rules.isAbandoned(this.#watch, PATIENCE) || this.device.lock.isHeldBy(this)) return;
    this.ground.count("locks stolen");
    this.#watch = NOTHING_SEEN;
    this.device.lock.steal(this);
  }

  hear(hint: Hint): void {
    switch (hint.kind) {
      case "appended":
        return this.leader?.take({ kind: "appended" });
      case "scope":
        this.scope = this.device.content.get("replica").scope;
        return this.leader?.rescope();
      case "reset":
        if (this.leader !== undefined) this.fenced(this.leader);
        return;
      case "called":
        if (this.leader === undefined) return;
        this.device.tell(this, { kind: "heard", ask: hint.ask });
        return this.leader.ask(hint.ask);
      case "heard":
        return this.#askAgain(hint.ask);
      case "answered":
        return this.#settle(hint.ask, hint.answer);
      default:
        hint satisfies never;
    }
  }

  /** The app's `sync()`. */
  sync(done: Reply<null>): void {
    const ask = `${this.name}/${++this.#calls}`;
    this.#asked.set(ask, { done, told: 0 });
    if (this.leader === undefined) this.#askLeader(ask);
    else this.leader.ask(ask);
  }

  #askLeader(ask: string): void {
    const waiting = this.#asked.get(ask);
    if (waiting === undefined) return;
    const told = ++waiting.told;
    this.device.tell(this, { kind: "called", ask });
    this.later(UNHEARD, () => {
      if (this.#asked.get(ask)?.told === told && this.leader === undefined && !this.device.lock.isHeldBy(this))
        this.device.lock.steal(this);
    });
  }

  /** A leader that is lost before it answers is followed by another, which has not heard. */
  #askAgain(ask: string): void {
    const waiting = this.#asked.get(ask);
    if (waiting === undefined) return;
    const told = ++waiting.told;
    this.later(UNHEARD, () => {
      if (waiting.told === told) this.#askLeader(ask);
    });
  }

  /** What the leader has to tell of asks, its own tab's and others'. */
  answered(ask: string, answer: Answer<null>): void {
    if (this.#asked.has(ask)) this.#settle(ask, answer);
    else this.device.tell(this, { kind: "answered", ask, answer });
  }

  #settle(ask: string, answer: Answer<null>): void {
    this.#asked.get(ask)?.done(answer);
    this.#asked.delete(ask);
  }

  /** What waits for the leader hears of something new. */
  announce(hint: Hint): void {
    this.hear(hint);
    this.device.tell(this, hint);
  }
}
