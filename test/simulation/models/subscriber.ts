/** An app's handler with a name, run by one tab at a time, as `client/subscription/subscriber.ts` implements it. */

import { isWithin, type Replica } from "../../../shared/device/replica.ts";
import {
  afterReplay,
  afterReplayRequest,
  afterReset,
  afterResume,
  begun,
  type DeviceSubscription,
  type Due,
  type Resumption,
  stoppedByOtherHistory,
} from "../../../shared/device/subscription.ts";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import { NO_EVENTS, withEvent } from "../../../shared/mark.ts";
import type { SubscriptionPolicy } from "../../../shared/subscription.ts";
import type { Device } from "../device.ts";
import { EPOCH } from "../ground.ts";
import type { Tab } from "../tab.ts";
import { pause, writes } from "./derived.ts";
import { OF_SUBSCRIPTION } from "./ledger.ts";

const POLICY: Omit<SubscriptionPolicy, "onFailure"> = {
  batchSize: 1,
  retries: 2,
  maxConsecutiveDeadLetters: 2,
  backoff: { first: 2000, longest: 20_000 },
};
/** Events that are looked at together. */
const PAGE = 8;
const REFUSED = "refused";

interface Found {
  readonly event?: ConfirmedEvent;
  readonly end: number;
}

type Change = (now: DeviceSubscription | undefined) => DeviceSubscription;

export class Subscriber {
  readonly #tab: Tab;
  readonly #policy: SubscriptionPolicy;
  #isAtWork = false;

  constructor(tab: Tab) {
    this.#tab = tab;
    this.#policy = { ...POLICY, onFailure: tab.ground.params.onFailure };
  }

  look(): void {
    const { derived } = this.#tab.device;
    // Whoever looks after it does so in any tab, whatever is under way in another.
    this.#care();
    if (derived.subscriber?.isAlive !== true) {
      derived.subscriber = this.#tab;
      this.#tab.ground.count("subscriptions taken over");
    }
    if (this.#isAtWork || derived.subscriber !== this.#tab) return;
    this.#isAtWork = true;
    this.#next();
  }

  #care(): void {
    const { device, ground } = this.#tab;
    const { kept } = device.content.get("subscription");
    const progress = kept?.parts[0]?.progress;
    if (kept === undefined || progress === undefined || !ground.beside.random.chance(progress.isStopped ? 0.5 : 0.05)) return;
    if (kept.error !== REFUSED && progress.isStopped) {
      this.#beginAnew(kept);
    } else if (progress.isStopped || (progress.failures > 0 && ground.beside.random.chance(0.5))) {
      ground.count("subscriptions resumed");
      this.#change((now) => afterResume(now ?? kept));
    } else if (kept.deadLetters.length > 0 && ground.beside.random.chance(0.2)) {
      this.#beginAnew(kept);
    } else if (kept.deadLetters.length > 0) {
      ground.count("subscriptions told to replay");
      this.#change((now) => afterReplayRequest(now ?? kept));
    }
  }

  #beginAnew(kept: DeviceSubscription): void {
    const { device, ground } = this.#tab;
    ground.count("subscriptions begun anew");
    const replica = device.content.get("replica");
    this.#change((now) => afterReset(now ?? kept, replica, 0));
  }

  #rest(): void {
    this.#isAtWork = false;
  }

  #next(): void {
    const { device, ground } = this.#tab;
    const replica = device.content.get("replica");
    const subscription = this.#standing(replica);
    if (subscription === undefined) return this.#rest();
    const due = ground.rules.dueOf(subscription, replica, this.#now(), this.#policy);
    switch (due.kind) {
      case "nothing":
        return this.#rest();
      case "wait":
        return this.#tab.later(due.milliseconds, () => this.#next());
      case "replay":
        return this.#replay(subscription, due.id);
      case "look":
        return this.#tab.later(pause(ground.beside), () => this.#look(subscription, due, replica));
      default:
        due satisfies never;
    }
  }

  #look(subscription: DeviceSubscription, due: Due & { kind: "look" }, replica: Replica): void {
    const { ground } = this.#tab;
    const { beside, rules } = ground;
    const found = this.#first(due, replica);
    const step = rules.afterLook(subscription, found, this.#now(), this.#policy);
    if (step.kind === "nothing") return this.#rest();
    if (step.kind === "write") {
      if (step.subscription.deadLetters.length > subscription.deadLetters.length) ground.count("events set aside");
      if (found.event !== undefined && step.subscription.parts[0]?.progress.isStopped) ground.count("subscriptions stopped by refusals");
      return this.#write(step.subscription);
    }
    const { event } = found;
    if (event === undefined) throw new Error("what is handed over was found");
    const after = (refusal: string | null) =>
      rules.afterHandOver(subscription, event, refusal, { now: this.#now(), random: beside.random.next() }, this.#policy);
    if (!rules.subscriptionHandlesFirst()) return this.#write(after(null), () => this.#handOver(event, () => this.#next()));
    return this.#handOver(event, (refusal) => this.#write(after(refusal)));
  }

  #replay(subscription: DeviceSubscription, id: string): void {
    const event = this.#tab.device.content.get("log").find((found) => found.id === id);
    const done = (refusal: string | null) => this.#soon((now = subscription) => afterReplay(now, id, refusal));
    if (event === undefined) return done("gone");
    this.#handOver(event, done, true);
  }

  /** The handler takes its time, and a tab may end meanwhile. */
  #handOver(event: ConfirmedEvent, done: (refusal: string | null) => void, isReplay = false): void {
    const { device, ground } = this.#tab;
    const { refusals } = device.derived;
    const before = refusals.get(event.id) ?? 0;
    const isHandled = ground.faults.isOver || before >= refusalsOf(event.id);
    if (!isHandled) refusals.set(event.id, before + 1);
    ground.count(isHandled ? "events handled by subscriptions" : "events refused by handlers");
    ground.observe({ kind: "handed", device: device.name, event, isHandled, isReplay, events: device.content.get("log") });
    this.#tab.later(ground.beside.random.between(1, 40), () => done(isHandled ? null : REFUSED));
  }

  #first({ part: { within, without }, after, upTo }: Due & { kind: "look" }, replica: Replica): Found {
    const { content } = this.#tab.device;
    if (after >= upTo || !this.#tab.ground.rules.isSameCopy(replica, content.get("replica"))) return { end: after };
    const isIn = (id: string) => isWithin(within, id) && (without === undefined || !isWithin(without, id));
    const page = content
      .get("log")
      .filter(({ position }) => position > after)
      .slice(0, PAGE);
    const last = page.at(-1);
    if (last === undefined) return { end: upTo };
    const event = page.find(({ position, streamId }) => position <= upTo && OF_SUBSCRIPTION.stream(streamId) && isIn(streamId));
    return event === undefined ? { end: Math.min(last.position, upTo) } : { event, end: event.position };
  }

  #standing(replica: Replica): DeviceSubscription | undefined {
    const { device, ground } = this.#tab;
    const { kept } = device.content.get("subscription");
    const standing = ground.rules.resumptionIn(kept, replica);
    switch (standing.kind) {
      case "begins":
        return begun(replica, 0);
      case "continues":
        return standing.subscription;
      case "fetching":
        return undefined;
      case "compare":
        return this.#inOtherCopy(standing, replica);
      default:
        return standing satisfies never;
    }
  }

  #inOtherCopy({ subscription: kept, ...range }: Resumption & { kind: "compare" }, replica: Replica): DeviceSubscription | undefined {
    const { device, ground } = this.#tab;
    let held = NO_EVENTS;
    for (const { id, position, streamId } of device.content.get("log")) {
      if (position <= range.after || position > range.upTo) continue;
      if (OF_SUBSCRIPTION.stream(streamId) && isWithin(kept.scope, streamId)) held = withEvent(held, id);
    }
    const continued = ground.rules.continuedIn(kept, replica, held);
    if (continued !== undefined) {
      ground.count("subscriptions that went on after a reset");
      return this.#put(continued) ? device.content.get("subscription").kept : undefined;
    }
    const stopped = stoppedByOtherHistory(kept);
    if (stopped !== kept && this.#put(stopped)) ground.count("subscriptions stopped by another history");
    return undefined;
  }

  #write(next: DeviceSubscription, then = () => this.#next()): void {
    this.#soon((now) => this.#tab.ground.rules.unlessOvertaken(next, now), then);
  }

  #soon(change: Change, then = () => this.#next()): void {
    this.#tab.later(this.#tab.ground.beside.random.between(1, 3), () => (this.#change(change) ? then() : this.#rest()));
  }

  #put(next: DeviceSubscription): boolean {
    return this.#change((now) => this.#tab.ground.rules.unlessOvertaken(next, now));
  }

  #change(change: Change): boolean {
    const { device, ground } = this.#tab;
    return writes(ground, device, () => {
      device.storage.beside((content) => {
        const kept = change(content.get("subscription").kept);
        content.set("subscription", { kept });
        ground.tell(() => `${this.#tab.name}: subscription ${told(kept)}`);
        this.#show(kept);
      });
    });
  }

  /** Its status, beside what the device holds. */
  #show({ parts, deadLetters, resets }: DeviceSubscription): void {
    const { device, ground } = this.#tab;
    const { checkpoint: position } = parts[0]?.progress ?? { checkpoint: 0 };
    if (resets !== device.content.get("replica").resets) return;
    const ids = deadLetters.map(({ id }) => id);
    ground.observe({ kind: "subscription", device: device.name, position, deadLetters: ids, events: device.content.get("log") });
  }

  /** The device's clock. */
  #now(): number {
    return EPOCH + this.#tab.ground.scheduler.now + this.#tab.device.clockError;
  }

  static unsettled({ derived, content }: Device): readonly string[] {
    const { kept } = content.get("subscription");
    const holder = derived.subscriber;
    // Who is frozen for good keeps the lock for good.
    if (holder?.isAlive === true && holder.isFrozen) return [];
    const { position, resets } = content.get("replica");
    const [part, ...rest] = kept?.parts ?? [];
    const isThere = rest.length === 0 && part !== undefined && part.progress.checkpoint >= position && !part.progress.isStopped;
    if (position === 0 || (isThere && kept?.resets === resets)) return [];
    return [`has its subscription at #${part?.progress.checkpoint} of #${position}`];
  }
}

function told({ resets, scope, parts, deadLetters }: DeviceSubscription): string {
  const part = ({ within, upTo, progress }: DeviceSubscription["parts"][number]) =>
    `${within ?? "all"}@${progress.checkpoint}${upTo === null ? "" : `/${upTo}`}${progress.isStopped ? " stopped" : ""}`;
  return `in copy ${resets} of ${scope ?? "all"}: ${parts.map(part).join(", ")}; aside ${deadLetters.length}`;
}

/** Some events are refused once or twice, and a few until everything is well again. */
function refusalsOf(id: string): number {
  let bits = 7;
  for (let i = 0; i < id.length; i++) bits = Math.imul(bits ^ id.charCodeAt(i), 0x01000193) >>> 0;
  const part = bits % 40;
  return part === 0 ? Number.POSITIVE_INFINITY : part <= 3 ? part : 0;
}
