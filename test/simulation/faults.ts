/**
 * The faults of a simulated world, part by part, and which part decides when they happen.
 *
 *     network   requests and answers are lost, doubled, late and overtaken, each by itself: work may be done whose answer
 *               never arrives; WebSockets break, with a word or without; a device is offline for a while
 *     strangers answer in the edge's place, lead elsewhere, cut answers, hold streams back, and let no WebSocket through (`strangers.ts`)
 *     tabs      crash (memory and open transactions are lost), close, freeze and thaw (with everything that came meanwhile), are
 *               hidden; messages between tabs are lost or late
 *     devices   a machine that crashes loses a suffix of the relaxed transactions after the last strict one; transactions are
 *               aborted; connections to the database are lost, and opening it fails; nothing can be written for a while; clocks jump; a
 *               user resets a device that did not need it
 *     edge      objects are evicted, and killed at any moment, with what was not durable yet; calls between them are lost either way; Workers
 *               die between two steps; new versions are deployed, and old and new ones work side by side (both are the same bundle, each
 *               with a memory of its own: code of two releases is not compared here, `test/worker/skew.test.ts` does that); the log can't
 *               be reached for a while; objects have no room; alarms are late, or never run
 *     handlers  of a subscription at the edge fail on some events, on some of them forever, kill their object, take longer than allowed,
 *               and are down for a while
 *     operator  a store is wiped, or restored from a copy, as a whole; or only its log is, while its streams continue
 *     access    tokens expire and are renewed later; grants are removed and given back
 *     load      the edge is overloaded for a while: a stand-in of the platform's rate limit answers most requests with 429, before the
 *               Worker gets them
 *     commits   there are commits on which the edge always fails (5xx), that it rejects, or that are too large
 *     storage   in one world of eight: a bit of an event changes in a stream or in the log; a row of either is lost; a stream is put back to an
 *               older copy or deleted while the log stays. An operator repairs it after a while, or when the world heals (`damage.ts`).
 *               A browser deletes all databases of a device, under open tabs or while none is open
 *
 * Left out, because nothing can be promised there:
 *  - a strict transaction that is lost: a device has nothing but the platform's promise;
 *  - a stream that is restored alone and stays so: the log then has events that its stream lacks, and only a person can decide which one is
 *    right. Here the person takes the newer copy;
 *  - storage that is damaged in two places at once, and bits that change on the way to storage, in the log's columns beside the events, on a
 *    device's disk or on the wire; and an edge that lies;
 *  - a person who clears all data of a site while no tab is open: nothing is left that could tell;
 *  - an alarm that is lost while its stream stays in memory forever: an idle object is evicted within minutes. If alarms were lost, or if a
 *    log was restored or wiped alone, the operator restarts every object, as a deployment does, and then reads each stream once, as `headwater
 *    verify` does. Without both, a stream that is never used again would not notice. The same holds for a subscription at the edge: its
 *    status is requested then;
 *  - two operations of the operator at once.
 */
import type { Scheduler } from "./platform/scheduler.ts";
import type { Random } from "./random.ts";

interface FaultFacts {
  /** `chance`: each time it may happen, with this probability at most. `event`: by itself, so often in a world at most. */
  readonly kind: "chance" | "event";
  readonly most: number;
  /** In which part of all worlds it may happen; of a fault of storage, in which part of the worlds whose storage fails. */
  readonly share: number;
}

/** In which part of all worlds storage fails. */
export const STORAGE_FAILS = 0.12;

export const STORAGE_FAULTS = {
  "flip-in-stream": { kind: "event", most: 4, share: 0.4 },
  "flip-in-log": { kind: "event", most: 4, share: 0.4 },
  "lose-run": { kind: "event", most: 8, share: 0.4 },
  "lose-row": { kind: "event", most: 8, share: 0.4 },
  "restore-stream": { kind: "event", most: 5, share: 0.4 },
  "delete-stream": { kind: "event", most: 3, share: 0.3 },
  "evict-device": { kind: "event", most: 3, share: 0.5 },
} as const satisfies Record<string, FaultFacts>;

export type StorageFault = keyof typeof STORAGE_FAULTS;

export const STORAGE_FAULT_NAMES = Object.keys(STORAGE_FAULTS) as readonly StorageFault[]; // the keys of a literal

export const FAULTS = {
  "lose-request": { kind: "chance", most: 0.4, share: 0.5 },
  "lose-answer": { kind: "chance", most: 0.4, share: 0.5 },
  double: { kind: "chance", most: 0.4, share: 0.5 },
  delay: { kind: "chance", most: 0.3, share: 0.5 },
  offline: { kind: "event", most: 5, share: 0.4 },
  "crash-tab": { kind: "event", most: 6, share: 0.4 },
  "close-tab": { kind: "event", most: 4, share: 0.3 },
  "freeze-tab": { kind: "event", most: 6, share: 0.4 },
  "lose-hint": { kind: "chance", most: 0.6, share: 0.3 },
  "late-hint": { kind: "chance", most: 0.6, share: 0.4 },
  "crash-device": { kind: "event", most: 4, share: 0.4 },
  "abort-write": { kind: "chance", most: 0.1, share: 0.3 },
  "lose-connection": { kind: "chance", most: 0.004, share: 0.3 },
  "fail-open": { kind: "chance", most: 0.3, share: 0.2 },
  "no-room": { kind: "event", most: 3, share: 0.25 },
  "jump-clock": { kind: "event", most: 5, share: 0.3 },
  reset: { kind: "event", most: 2, share: 0.15 },
  evict: { kind: "event", most: 20, share: 0.4 },
  "crash-object": { kind: "event", most: 30, share: 0.4 },
  deploy: { kind: "event", most: 3, share: 0.25 },
  "no-room-at-edge": { kind: "event", most: 2, share: 0.2 },
  "crash-worker": { kind: "chance", most: 0.1, share: 0.3 },
  "lose-call": { kind: "chance", most: 0.25, share: 0.4 },
  "log-outage": { kind: "event", most: 3, share: 0.3 },
  "late-alarm": { kind: "chance", most: 0.6, share: 0.3 },
  "lost-alarm": { kind: "chance", most: 0.4, share: 0.12 },
  "wipe-store": { kind: "event", most: 1.5, share: 0.08 },
  "restore-store": { kind: "event", most: 2, share: 0.15 },
  "wipe-log": { kind: "event", most: 1.5, share: 0.06 },
  "restore-log": { kind: "event", most: 2, share: 0.08 },
  "expire-token": { kind: "event", most: 3, share: 0.3 },
  forbid: { kind: "event", most: 2, share: 0.15 },
  overload: { kind: "event", most: 4, share: 0.3 },
  poison: { kind: "chance", most: 0.12, share: 0.3 },
  stranger: { kind: "chance", most: 0.4, share: 0.3 },
  redirect: { kind: "chance", most: 0.3, share: 0.15 },
  "cut-answer": { kind: "chance", most: 0.3, share: 0.2 },
  "no-upgrade": { kind: "chance", most: 1, share: 0.2 },
  "hold-stream": { kind: "chance", most: 1, share: 0.2 },
  ...STORAGE_FAULTS,
} as const satisfies Record<string, FaultFacts>;

export type Fault = keyof typeof FAULTS;

/** How strong each is, from 0 (never) to 1. */
export type Strengths = Partial<Readonly<Record<Fault, number>>>;

export const FAULT_NAMES = Object.keys(FAULTS) as readonly Fault[]; // the keys of a literal

export class Faults {
  readonly injected: Map<Fault, number>;
  readonly #strengths: Strengths;
  readonly #random: Random;
  readonly #scheduler: Scheduler;
  /** Milliseconds in which they happen. */
  readonly #duration: number;
  /** Shared by all that were made beside each other. */
  readonly #end: { isOver: boolean };

  constructor(
    strengths: Strengths,
    random: Random,
    scheduler: Scheduler,
    duration: number,
    injected = new Map<Fault, number>(),
    end = { isOver: false },
  ) {
    this.injected = injected;
    this.#end = end;
    this.#strengths = strengths;
    this.#random = random;
    this.#scheduler = scheduler;
    this.#duration = duration;
  }

  /** The same faults, by another chance. */
  beside(random: Random): Faults {
    return new Faults(this.#strengths, random, this.#scheduler, this.#duration, this.injected, this.#end);
  }

  /** Nothing goes wrong any more. */
  get isOver(): boolean {
    return this.#end.isOver;
  }

  stop(): void {
    this.#end.isOver = true;
  }

  /** Whether it happens now. */
  strikes(fault: Fault): boolean {
    const strength = this.#strengths[fault] ?? 0;
    if (strength === 0 || this.isOver || !this.#random.chance(strength * FAULTS[fault].most)) return false;
    this.#count(fault);
    return true;
  }

  /**
   * Lets it happen by itself, now and then.
   *
   * @param act answers false where it could not happen just now
   */
  recur(fault: Fault, act: () => boolean): void {
    const strength = this.#strengths[fault] ?? 0;
    if (strength === 0) return;
    const mean = this.#duration / (strength * FAULTS[fault].most);
    const next = () => {
      this.#scheduler.after(this.#random.wait(mean), () => {
        if (this.isOver) return;
        if (act()) this.#count(fault);
        next();
      });
    };
    next();
  }

  /** How long something that goes wrong for a while does so: seconds, or a good part of the world. */
  while(): number {
    return this.#random.spread(1000, Math.max(2000, this.#duration / 2));
  }

  /** It is let happen by somebody else. */
  happened(fault: Fault): void {
    this.#count(fault);
  }

  #count(fault: Fault): void {
    this.injected.set(fault, (this.injected.get(fault) ?? 0) + 1);
  }
}
