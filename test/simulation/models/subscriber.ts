/** An app's handler under a name, run by one tab at a time, as `client/model/subscriber.ts` has it. */
import { begun, type Facts, feedOf, isFetching, type SetAside } from "../../../client/model/subscription-facts.ts";
import { isContinued } from "../../../shared/continued.ts";
import type { ConfirmedEvent } from "../../../shared/event.ts";
import { type History, isWithin } from "../../../shared/history.ts";
import { NO_EVENTS, withEvent } from "../../../shared/mark.ts";
import { resumed, type SubscriptionPolicy, stopped, waitAfter } from "../../../shared/subscription.ts";
import type { Device } from "../device.ts";
import { timeAt } from "../ground.ts";
import type { Tab } from "../tab.ts";
import { pause, writes } from "./derived.ts";
import { OF_SUBSCRIPTION } from "./ledger.ts";

const POLICY: SubscriptionPolicy = {
  batchSize: 1,
  retries: 2,
  onFailure: "set-aside",
  setAsideInARow: 2,
  backoff: { first: 2000, longest: 20_000 },
};
/** Events that are looked at together. */
const PAGE = 8;
const OTHER = "The device follows another history.";

interface Due {
  readonly event?: ConfirmedEvent;
  readonly end: number;
}

export class Subscriber {
  readonly #tab: Tab;
  #isAtWork = false;

  constructor(tab: Tab) {
    this.#tab = tab;
  }

  look(): void {
    const { derived } = this.#tab.device;
    if (derived.subscriber?.isAlive !== true) {
      derived.subscriber = this.#tab;
      this.#tab.ground.count("subscriptions taken over");
    }
    if (this.#isAtWork || derived.subscriber !== this.#tab) return;
    this.#isAtWork = true;
    this.#care();
    this.#next();
  }

  /** What whoever looks after it does now and then. */
  #care(): void {
    const { device, ground } = this.#tab;
    const { facts } = device.content.get("subscription");
    const isStopped = facts?.parts[0]?.progress.isStopped === true;
    if (facts === undefined || !ground.beside.random.chance(isStopped ? 0.5 : 0.05)) return;
    const asked = facts.asked + 1;
    if (isStopped && facts.reason === OTHER) {
      ground.count("subscriptions begun anew");
      this.#put({ ...begun(device.content.get("history"), 0), setAside: facts.setAside, asked });
    } else if (isStopped) {
      ground.count("subscriptions resumed");
      this.#put({ ...facts, asked, notBefore: 0, parts: facts.parts.map((part) => ({ ...part, progress: resumed(part.progress) })) });
    } else if (facts.setAside.length > 0) {
      ground.count("subscriptions told to replay");
      this.#put({ ...facts, asked, replay: facts.setAside.map(({ id }) => id) });
    }
  }

  #rest(): void {
    this.#isAtWork = false;
  }

  #next(): void {
    const { device, ground } = this.#tab;
    const { rules } = ground;
    const history = device.content.get("history");
    const facts = this.#facts(history);
    if (facts === undefined) return this.#rest();
    const [replay] = facts.replay;
    if (replay !== undefined) return this.#replay(facts, replay);
    const [part, ...rest] = facts.parts;
    if (part === undefined || part.progress.isStopped) return this.#rest();
    const wait = rules.waitLeft(facts.notBefore, this.#now(), POLICY);
    if (wait > 0) return this.#tab.later(wait, () => this.#next());
    const upTo = Math.min(part.upTo ?? history.position, history.position);
    const { checkpoint } = part.progress;
    const isIn = (id: string) => isWithin(part.within, id) && (part.without === undefined || !isWithin(part.without, id));
    this.#tab.later(pause(ground.beside), () => {
      const { event, end } = this.#due(checkpoint, upTo, isIn, history);
      const batch = { count: 1, upTo: event?.position ?? end };
      if (event === undefined) {
        const isOver = part.upTo !== null && end >= part.upTo;
        if (!isOver && end === checkpoint) return this.#rest();
        return this.#write(facts, isOver ? rest : [{ ...part, progress: rules.afterPassed(part.progress, end) }, ...rest]);
      }
      const step = rules.nextStep(part.progress, POLICY, batch);
      const handled = { ...part, progress: rules.afterHandled(part.progress, batch) };
      switch (step.kind) {
        case "hand-over":
          if (!rules.subscriptionHandlesFirst()) {
            return this.#write({ ...facts, reason: null, dealtWith: withEvent(facts.dealtWith, event.id) }, [handled, ...rest], () =>
              this.#handOver(event, () => this.#next()),
            );
          }
          return this.#handOver(event, (isHandled) => {
            if (isHandled)
              return this.#write({ ...facts, reason: null, dealtWith: withEvent(facts.dealtWith, event.id) }, [handled, ...rest]);
            const progress = rules.afterRefused(part.progress, batch);
            const notBefore = this.#now() + waitAfter(progress, POLICY, ground.beside.random.next());
            this.#write({ ...facts, reason: "refused", notBefore }, [{ ...part, progress }, ...rest]);
          });
        case "set-aside": {
          ground.count("events set aside");
          const setAside = rules.listed(facts.setAside, asideOf(event));
          const dealtWith = withEvent(facts.dealtWith, event.id);
          return this.#write({ ...facts, setAside, dealtWith }, [{ ...part, progress: step.progress }, ...rest]);
        }
        case "take-apart":
        case "stop":
          ground.count("subscriptions stopped by refusals");
          return this.#write({ ...facts, reason: "refused" }, [{ ...part, progress: step.progress }, ...rest]);
        default:
          step satisfies never;
      }
    });
  }

  #replay(facts: Facts, id: string): void {
    const event = this.#tab.device.content.get("log").find((found) => found.id === id);
    const done = (isHandled: boolean) => {
      const setAside = facts.setAside.filter((item) => !isHandled || item.id !== id);
      this.#write({ ...facts, setAside, replay: facts.replay.slice(1) }, facts.parts);
    };
    if (event === undefined) return done(false);
    this.#handOver(event, done, true);
  }

  /** The handler takes its time, and a tab may end meanwhile. */
  #handOver(event: ConfirmedEvent, done: (isHandled: boolean) => void, isReplay = false): void {
    const { device, ground } = this.#tab;
    const { refusals } = device.derived;
    const before = refusals.get(event.id) ?? 0;
    const isHandled = ground.faults.isOver || before >= refusalsOf(event.id);
    if (!isHandled) refusals.set(event.id, before + 1);
    ground.count(isHandled ? "events handled by subscriptions" : "events refused by handlers");
    ground.observe({ kind: "handed", device: device.name, event, isHandled, isReplay, events: device.content.get("log") });
    this.#tab.later(ground.beside.random.between(1, 40), () => done(isHandled));
  }

  #due(after: number, upTo: number, isIn: (streamId: string) => boolean, history: History): Due {
    const { content } = this.#tab.device;
    if (after >= upTo || !this.#tab.ground.rules.isContinued(history, content.get("history"))) return { end: after };
    const page = content
      .get("log")
      .filter(({ position }) => position > after)
      .slice(0, PAGE);
    const last = page.at(-1);
    if (last === undefined) return { end: upTo };
    const event = page.find(({ position, streamId }) => position <= upTo && OF_SUBSCRIPTION.stream(streamId) && isIn(streamId));
    return event === undefined ? { end: Math.min(last.position, upTo) } : { event, end: event.position };
  }

  #facts(history: History): Facts | undefined {
    const { device, ground } = this.#tab;
    if (history.fills.length > 0) return undefined;
    const kept = device.content.get("subscription").facts;
    if (kept === undefined) return begun(history, 0);
    const facts = ground.rules.isContinued(kept, history) ? kept : this.#inNewCopy(kept, history);
    return facts && ground.rules.partsWithin(facts, history);
  }

  #inNewCopy(facts: Facts, history: History): Facts | undefined {
    const { device, ground } = this.#tab;
    if (isFetching(facts, history)) return undefined;
    const { checkpoint } = feedOf(facts).progress;
    let held = NO_EVENTS;
    for (const { id, position, streamId } of device.content.get("log")) {
      if (position <= facts.since || position > checkpoint) continue;
      if (OF_SUBSCRIPTION.stream(streamId) && isWithin(facts.scope, streamId)) held = withEvent(held, id);
    }
    const continued = ground.rules.continuedIn(facts, history, held);
    if (continued !== undefined) {
      ground.count("subscriptions that went on after a reset");
      return this.#put(continued) ? continued : undefined;
    }
    const [first, ...rest] = facts.parts;
    if (first !== undefined && !first.progress.isStopped) {
      ground.count("subscriptions stopped by another history");
      this.#put({ ...facts, reason: OTHER, parts: [{ ...first, progress: stopped(first.progress) }, ...rest] });
    }
    return undefined;
  }

  #write(facts: Facts, parts: Facts["parts"], then = () => this.#next()): void {
    const { random } = this.#tab.ground.beside;
    this.#tab.later(random.between(1, 3), () => (this.#put({ ...facts, parts }) ? then() : this.#rest()));
  }

  #put(next: Facts): boolean {
    const { device, ground } = this.#tab;
    return writes(ground, device, () => {
      device.storage.beside((content) => {
        const { facts: now } = content.get("subscription");
        const isOvertaken = now !== undefined && now.asked > next.asked;
        content.set("subscription", { facts: isOvertaken ? { ...now, setAside: next.setAside } : next });
      });
      this.#show(next);
    });
  }

  /** Its status, beside what the device holds. */
  #show({ parts, setAside, resets }: Facts): void {
    const { device, ground } = this.#tab;
    const { checkpoint: position } = parts[0]?.progress ?? { checkpoint: 0 };
    if (!isContinued({ resets }, device.content.get("history"))) return;
    const ids = setAside.map(({ id }) => id);
    ground.observe({ kind: "subscription", device: device.name, position, setAside: ids, events: device.content.get("log") });
  }

  #now(): number {
    return this.#tab.ground.scheduler.now + this.#tab.device.clockError;
  }

  static unsettled({ derived, content }: Device): readonly string[] {
    const { facts } = content.get("subscription");
    const holder = derived.subscriber;
    // Who is frozen for good keeps the lock for good.
    if (holder?.isAlive === true && holder.isFrozen) return [];
    const history = content.get("history");
    const { position } = history;
    const [part, ...rest] = facts?.parts ?? [];
    const isThere = rest.length === 0 && part !== undefined && part.progress.checkpoint >= position && !part.progress.isStopped;
    if (position === 0 || (isThere && facts !== undefined && isContinued(facts, history))) return [];
    return [`has its subscription at #${part?.progress.checkpoint} of #${position}`];
  }
}

function asideOf({ id, streamId, version, position }: ConfirmedEvent): SetAside {
  return { id, streamId, version, position, reason: "refused", at: timeAt(0) };
}

/** Some events are refused once or twice, and a few until everything is well again. */
function refusalsOf(id: string): number {
  let bits = 7;
  for (let i = 0; i < id.length; i++) bits = Math.imul(bits ^ id.charCodeAt(i), 0x01000193) >>> 0;
  const part = bits % 40;
  return part === 0 ? Number.POSITIVE_INFINITY : part <= 3 ? part : 0;
}
