/**
 * Tells a log's subscriptions that it has grown, and sees to it that none is left untold.
 *
 *     published ──► told?  one call of each in flight; what is published meanwhile is told by the next
 *         │           ▲
 *         └── alarm ──┘    armed in the publication's own transaction, once per burst; tells again until all know
 *
 * Who was told how far is kept in memory only: after a wake all are told once more, which costs a call and no row. A subscription
 * that was told sees to the rest by an alarm of its own.
 */
import type { LogEnd } from "../../shared/edge/subscription.ts";
import type { EdgeEnv } from "../env.ts";
import { alarmDelay } from "../objects/alarm-delay.ts";
import { callObject } from "../objects/calls.ts";
import type { SharedAlarm } from "../objects/shared-alarm.ts";
import { logFault } from "../report/journal.ts";
import type { SubscriptionObject } from "../subscription/subscription-object.ts";

/** What each call of a subscription says of its store. */
export interface Origin extends LogEnd {
  readonly store: string;
  readonly name: string;
  /** The log's head when it first knew of the subscription. */
  readonly since: number;
}

interface Known {
  /** The log's name: an alarm may not know it otherwise. */
  readonly store: string;
  readonly since: Readonly<Record<string, number>>;
}

export interface SubscribersHost {
  readonly state: DurableObjectState;
  readonly env: EdgeEnv;
  readonly alarm: SharedAlarm;
  /** Of the subscriptions. */
  readonly names: readonly string[];
  readonly log: string;
  head(): number;
  /** The log's mark there. */
  mark(): string;
}

const KEY = "subscribers";

export class Subscribers {
  readonly #host: SubscribersHost;
  #known: Known | undefined;
  readonly #told = new Map<string, number>();
  readonly #telling = new Map<string, Promise<void>>();
  #failures = 0;

  constructor(host: SubscribersHost) {
    this.#host = host;
    this.reload();
  }

  /** After a transaction that was rolled back. */
  reload(): void {
    this.#known = this.#host.state.storage.kv.get<Known>(KEY);
  }

  /**
   * Remembers those that are new, and where the log was before them: to be called before it grows, in the same transaction.
   *
   * @returns whether there were any
   */
  enroll(store = this.#known?.store): boolean {
    const { names, state } = this.#host;
    if (store === undefined || names.every((name) => Object.hasOwn(this.#known?.since ?? {}, name))) return false;
    const since = Object.fromEntries(names.map((name) => [name, this.#host.head()]));
    this.#known = { store, since: { ...since, ...this.#known?.since } };
    state.storage.kv.put(KEY, this.#known);
    return true;
  }

  /** Has those begin that came with a deployment, also where nothing more is published. */
  woke(store: string | undefined): void {
    if (this.#host.head() > 0 && this.enroll(store)) this.published();
  }

  /** By name; undefined for one that is not configured. */
  originOf(name: string): Origin | undefined {
    const since = this.#known?.since[name];
    if (this.#known === undefined || since === undefined) return undefined;
    const { log } = this.#host;
    return { store: this.#known.store, name, log, head: this.#host.head(), mark: this.#host.mark(), since };
  }

  /** To be called in the same turn as the write of what was published. Nobody waits for it. */
  published(): void {
    if (this.#isAllTold()) return;
    this.#host.alarm.arm(Date.now() + alarmDelay(0));
    this.#host.state.waitUntil(this.#tellAll());
  }

  async onAlarm(): Promise<void> {
    if (this.#isAllTold()) return;
    await this.#tellAll();
    if (this.#isAllTold()) return;
    this.#host.alarm.arm(Date.now() + alarmDelay(++this.#failures));
  }

  #isAllTold(): boolean {
    const head = this.#host.head();
    return this.#host.names.every((name) => (this.#told.get(name) ?? 0) >= head);
  }

  async #tellAll(): Promise<void> {
    await Promise.all(
      this.#host.names.map((name) => this.#tell(name).catch((error: unknown) => logFault("subscriptions", error, { name }))),
    );
    if (this.#isAllTold()) this.#failures = 0;
  }

  /** Until it knows of all; joins a call under way. @throws where it can't be reached */
  #tell(name: string): Promise<void> {
    let telling = this.#telling.get(name);
    if (telling === undefined) {
      // Not in this turn: whoever published does not wait for it, and what else comes in this turn is told along.
      telling = Promise.resolve().then(() => this.#tellUntilKnown(name));
      this.#telling.set(name, telling);
    }
    return telling;
  }

  async #tellUntilKnown(name: string): Promise<void> {
    try {
      for (let origin = this.#untold(name); origin !== undefined; origin = this.#untold(name)) {
        const told = origin;
        await callObject(
          () => this.#objectOf(told),
          async (subscription) => subscription.wake(told),
        );
        this.#told.set(name, told.head);
      }
    } finally {
      // In the same turn as the last look: what is published from now on is told anew.
      this.#telling.delete(name);
    }
  }

  #untold(name: string): Origin | undefined {
    const origin = this.originOf(name);
    return origin !== undefined && (this.#told.get(name) ?? 0) < origin.head ? origin : undefined;
  }

  #objectOf({ store, name }: Origin): DurableObjectStub<SubscriptionObject> {
    return subscriptionsOf(this.#host.env).getByName(`${store}/${name}`);
  }
}

/** @throws where the deployment does not bind them */
export function subscriptionsOf({ SUBSCRIPTIONS }: EdgeEnv): DurableObjectNamespace<SubscriptionObject> {
  if (SUBSCRIPTIONS === undefined) throw new Error(UNBOUND);
  return SUBSCRIPTIONS;
}

export const UNBOUND = "createEdge has subscriptions: export its SubscriptionObject, and bind that class as SUBSCRIPTIONS.";
