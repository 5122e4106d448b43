/**
 * Notifies a log's subscriptions that the log has grown, until all of them know.
 *
 *     published ──► notified?  one call of each subscription in flight; the next call covers what is published meanwhile
 *         │             ▲
 *         └── alarm ────┘      armed in the publication's own transaction, once per burst; notifies again until all know
 *
 * Only memory has how far each of them was notified: after a wake all are notified once more, which costs a call and no row. A
 * subscription that was notified continues by an alarm of its own.
 */
import type { LogEnd } from "../../shared/edge/subscription.ts";
import type { EdgeEnv } from "../env.ts";
import { alarmDelay } from "../objects/alarm-delay.ts";
import { callObject } from "../objects/calls.ts";
import { now } from "../objects/platform.ts";
import type { SharedAlarm } from "../objects/shared-alarm.ts";
import { logFault } from "../report/journal.ts";
import type { SubscriptionObject } from "../subscription/subscription-object.ts";

/** What the log sends with each call of a subscription. */
export interface Origin extends LogEnd {
  readonly store: string;
  readonly name: string;
  /** The log's head when it first knew of the subscription. */
  readonly since: number;
  /** The position up to which the log was restored from a backup; 0 if it was not, undefined from a log of an earlier version. */
  readonly restoredUpTo?: number;
}

interface Known {
  /** The log's store: an alarm may not know it otherwise. */
  readonly store: string;
  /** By the subscription's name. */
  readonly since: Readonly<Record<string, number>>;
}

export interface SubscribersHost {
  readonly state: DurableObjectState;
  readonly env: EdgeEnv;
  readonly alarm: SharedAlarm;
  /** Names of the subscriptions. */
  readonly names: readonly string[];
  readonly log: string;
  head(): number;
  /** The log's mark at the head. */
  mark(): string;
  /** The position up to which the log was restored from a backup. */
  restoredUpTo(): number;
}

const KEY = "subscribers";

export class Subscribers {
  readonly #host: SubscribersHost;
  #known: Known | undefined;
  readonly #notified = new Map<string, number>();
  readonly #calls = new Map<string, Promise<void>>();
  #failures = 0;

  constructor(host: SubscribersHost) {
    this.#host = host;
    this.reload();
  }

  /** To be called after a transaction that was rolled back. */
  reload(): void {
    this.#known = this.#host.state.storage.kv.get<Known>(KEY);
  }

  /**
   * Stores which subscriptions are new, and the head of the log before them. To be called before the log grows, in the same transaction.
   *
   * @returns whether any are new
   */
  enroll(store = this.#known?.store): boolean {
    const { names, state } = this.#host;
    if (store === undefined || names.every((name) => Object.hasOwn(this.#known?.since ?? {}, name))) return false;
    const since = Object.fromEntries(names.map((name) => [name, this.#host.head()]));
    this.#known = { store, since: { ...since, ...this.#known?.since } };
    state.storage.kv.put(KEY, this.#known);
    return true;
  }

  /** Starts the subscriptions that came with a deployment, even if nothing more is published. */
  woke(store: string | undefined): void {
    if (this.#host.head() > 0 && this.enroll(store)) this.published();
  }

  /** Undefined if no subscription of this name is configured. */
  originOf(name: string): Origin | undefined {
    const since = this.#known?.since[name];
    if (this.#known === undefined || since === undefined) return undefined;
    const { log } = this.#host;
    const end = { log, head: this.#host.head(), mark: this.#host.mark() };
    return { store: this.#known.store, name, ...end, since, restoredUpTo: this.#host.restoredUpTo() };
  }

  /** To be called in the same turn as the write of what was published. It does not wait for the calls. */
  published(): void {
    if (this.#allKnow()) return;
    this.#host.alarm.arm(now(this.#host.state) + alarmDelay(0));
    this.#host.state.waitUntil(this.#notifyAll());
  }

  async onAlarm(): Promise<void> {
    if (this.#allKnow()) return;
    await this.#notifyAll();
    if (this.#allKnow()) return;
    this.#host.alarm.arm(now(this.#host.state) + alarmDelay(++this.#failures));
  }

  #allKnow(): boolean {
    const head = this.#host.head();
    return this.#host.names.every((name) => (this.#notified.get(name) ?? 0) >= head);
  }

  async #notifyAll(): Promise<void> {
    await Promise.all(
      this.#host.names.map((name) => this.#notify(name).catch((error: unknown) => logFault("subscriptions", error, { name }))),
    );
    if (this.#allKnow()) this.#failures = 0;
  }

  /** Notifies a subscription until it knows the head; joins a call under way. @throws if it can't be reached */
  #notify(name: string): Promise<void> {
    let call = this.#calls.get(name);
    if (call === undefined) {
      // Not in this turn: the publication does not wait for it, and the call covers what else is published in this turn.
      call = Promise.resolve().then(() => this.#notifyUntilKnown(name));
      this.#calls.set(name, call);
    }
    return call;
  }

  async #notifyUntilKnown(name: string): Promise<void> {
    try {
      for (let origin = this.#dueFor(name); origin !== undefined; origin = this.#dueFor(name)) {
        const sent = origin;
        await callObject(
          () => this.#objectOf(sent),
          async (subscription) => subscription.wake(sent),
        );
        this.#notified.set(name, sent.head);
      }
    } finally {
      // In the same turn as the last check: a later publication starts a new call.
      this.#calls.delete(name);
    }
  }

  #dueFor(name: string): Origin | undefined {
    const origin = this.originOf(name);
    return origin !== undefined && (this.#notified.get(name) ?? 0) < origin.head ? origin : undefined;
  }

  #objectOf({ store, name }: Origin): DurableObjectStub<SubscriptionObject> {
    return subscriptionsOf(this.#host.env).getByName(`${store}/${name}`);
  }
}

/** Names of all subscriptions that the log has ever known, those that are not configured any more too. */
export function enrolledIn(storage: DurableObjectStorage): string[] {
  return Object.keys(storage.kv.get<Known>(KEY)?.since ?? {});
}

/** @throws Error if the deployment does not bind them */
export function subscriptionsOf({ SUBSCRIPTIONS }: EdgeEnv): DurableObjectNamespace<SubscriptionObject> {
  if (SUBSCRIPTIONS === undefined) throw new Error(UNBOUND);
  return SUBSCRIPTIONS;
}

export const UNBOUND =
  "The edge has subscriptions, but no binding SUBSCRIPTIONS: export the edge's SubscriptionObject, and bind that class.";
