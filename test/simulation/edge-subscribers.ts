/**
 * Notifies a log's subscription that the log has grown, as `worker/log/notifier.ts` does: by a call that nobody awaits, and by the log's
 * alarm.
 */
import type { LogEnd } from "../../shared/edge/subscription.ts";
import type { ObjectHost } from "./edge-objects.ts";
import type { SubscriptionInstance } from "./edge-subscription.ts";
import type { Ground } from "./ground.ts";

export interface SubscribersParts {
  readonly ground: Ground;
  readonly end: () => LogEnd;
  readonly subscription: () => ObjectHost<SubscriptionInstance>;
  /** Sets the log's alarm, unless it goes off by then. */
  readonly arm: (at: number) => void;
  /** Whether the log still is the one whose memory this is. */
  readonly isCurrent: () => boolean;
}

export class Subscribers {
  readonly #parts: SubscribersParts;
  #told = 0;
  /** Who waits for the telling under way; undefined where there is none. */
  #telling: (() => void)[] | undefined;
  #failures = 0;

  constructor(parts: SubscribersParts) {
    this.#parts = parts;
  }

  /** In the same turn as the write of what was published. */
  published(): void {
    if (this.#isTold()) return;
    const { rules } = this.#parts.ground;
    if (rules.isLogAlarmSet()) this.#arm(rules.alarmDelay(0));
    this.#tell();
  }

  onAlarm(done: () => void): void {
    if (this.#isTold()) return done();
    this.#tell(() => {
      if (!this.#isTold()) this.#arm(this.#parts.ground.rules.alarmDelay(++this.#failures));
      done();
    });
  }

  #arm(delay: number): void {
    this.#parts.arm(this.#parts.ground.scheduler.now + delay);
  }

  #isTold(): boolean {
    return this.#told >= this.#parts.end().head;
  }

  #tell(done: () => void = () => undefined): void {
    if (this.#telling !== undefined) {
      this.#telling.push(done);
      return;
    }
    this.#telling = [done];
    this.#parts.ground.scheduler.after(0, () => this.#tellUntilKnown());
  }

  #tellUntilKnown(): void {
    if (!this.#parts.isCurrent()) return;
    if (this.#isTold()) {
      this.#failures = 0;
      return this.#end();
    }
    const told = this.#parts.end();
    this.#parts.subscription().call<null>(
      (subscription, reply) => {
        subscription.wake(told);
        reply({ value: null });
      },
      (answer) => {
        if (!this.#parts.isCurrent()) return;
        if ("error" in answer) return this.#end();
        this.#told = told.head;
        this.#tellUntilKnown();
      },
    );
  }

  #end(): void {
    const waiting = this.#telling ?? [];
    this.#telling = undefined;
    for (const done of waiting) done();
  }
}
