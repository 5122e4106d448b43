/** Bugs in the subscriptions of the edge: `worker/subscription/`, the log's notifier, and their rules in `shared/`. */
import type { Params } from "../params.ts";
import { type Bug, patch } from "./bug.ts";

const NOTIFIER = "worker/log/notifier.ts";
const OBJECT = "worker/subscription/subscription-object.ts";
const RULES = "shared/edge/subscription.ts";
const STEPS = "shared/subscription.ts";

/** The handler gets two events at once at least, and what it fails on is soon a dead letter. */
export const SUBSCRIBED: NonNullable<Params["edgeSubscription"]> = {
  batchSize: 4,
  retries: 1,
  onFailure: "dead-letter",
  maxConsecutiveDeadLetters: 4,
  backoff: { first: 2000, longest: 20_000 },
};

export const EDGE_SUBSCRIPTIONS: readonly Bug[] = [
  {
    name: "the checkpoint of a subscription at the edge is written before its handler has the events",
    patches: [
      patch(
        OBJECT,
        "const failure = await this.#call(handed,",
        "this.#stored.write(afterBatch(handed, batch, page.mark ?? null));\n    const failure = await this.#call(handed,",
      ),
    ],
    world: { edgeSubscription: SUBSCRIBED, faults: { evict: 1, "crash-object": 1 } },
    by: "7 edge subscription",
  },
  {
    name: "a batch that is refused is set aside as a whole",
    patches: [
      patch(
        STEPS,
        '{ kind: "take-apart", progress: { ...progress, failures: 0, alone: upTo } };',
        '{ kind: "dead-letter", progress: { ...progress, checkpoint: upTo, failures: 0 } };',
      ),
    ],
    world: { edgeSubscription: SUBSCRIBED },
    by: "7 edge subscription",
  },
  {
    name: "a kill of which no more is known gives up an event that the handler never got",
    patches: [patch(STEPS, '  if (!hasFailedAlone(progress)) return { kind: "hand-over" };\n', "")],
    world: { edgeSubscription: { ...SUBSCRIBED, retries: 0 }, devices: 1, faults: { evict: 10, "crash-object": 30 } },
    by: "7 edge subscription",
  },
  {
    name: "nothing tells a subscription again where the call that told it was lost",
    patches: [
      patch(NOTIFIER, "onAlarm(): Promise<void> {\n    if (this.#allKnow()) return;", "onAlarm(): Promise<void> {\n    if (Date) return;"),
    ],
    world: { minutes: 4, actions: 30, edgeSubscription: SUBSCRIBED, devices: 1, faults: { "lose-call": 3 } },
    by: "7 edge subscription",
  },
  {
    name: "what is refused again when it is replayed leaves the list",
    patches: [patch(RULES, "return error === null ? null : { ...event, error, at };", "return null;")],
    world: { edgeSubscription: SUBSCRIBED },
    by: "7 edge subscription",
  },
  {
    name: "a subscription at the edge reads whichever log is there",
    patches: [patch(RULES, "{ after: position, log, ...(mark === null ? {} : { mark }) }", "{ after: position }")],
    world: { edgeSubscription: SUBSCRIBED, actions: 240, faults: { "restore-store": 3, evict: 3 } },
    by: "7 edge subscription",
  },
  {
    name: "a subscription at the edge does not keep the mark of its log",
    patches: [patch(RULES, "{ after: position, log, ...(mark === null ? {} : { mark }) }", "{ after: position, log }")],
    world: { edgeSubscription: SUBSCRIBED, actions: 240, faults: { "restore-store": 3, evict: 3 } },
    by: "7 edge subscription",
  },
  {
    name: "news has what was refused handed over at once",
    patches: [patch(RULES, "return retryAt !== null && retryAt > now ? retryAt : null;", "return null;")],
    world: { edgeSubscription: SUBSCRIBED, actions: 120 },
    by: "7 edge subscription",
  },
  {
    name: "a subscription that is put elsewhere keeps the mark of where it was",
    patches: [patch(RULES, "...subscriptionAt(log, position) };", "...subscriptionAt(log, position), mark: subscription.mark };")],
    world: { edgeSubscription: SUBSCRIBED },
    by: "convergence in time",
  },
  {
    name: "what is told to a subscription at work is forgotten",
    patches: [patch(RULES, "heard > head || position < head", "position < head")],
    world: { minutes: 0.5, actions: 60, devices: 4, streams: 6, edgeSubscription: SUBSCRIBED, faults: { offline: 2 } },
    by: "7 edge subscription",
  },

  // Since the simulation runs the product itself.

  {
    name: "a subscription at the edge that can't reach the log waits for news",
    patches: [patch(OBJECT, "      this.#alarm.arm(now(this.ctx) + backoff(LOG_BACKOFF, this.#failures, Math.random()));\n", "")],
    world: { minutes: 0.5, actions: 12, edgeSubscription: SUBSCRIBED, faults: { "log-outage": 1, "lose-call": 1 } },
    by: "7 edge subscription",
  },
  {
    name: "a subscription at the edge that has worked long enough waits for news",
    patches: [
      patch(
        OBJECT,
        "if (wait !== null) return this.#alarm.arm(wait);\n      if (isEnough()) return this.#alarm.arm(now(this.ctx));",
        "if (wait !== null) return this.#alarm.arm(wait);\n      if (isEnough()) return;",
      ),
    ],
    world: { edgeSubscription: { ...SUBSCRIBED, batchSize: 1 }, actions: 240, minutes: 2, faults: { "log-outage": 2 } },
    by: "7 edge subscription",
  },
  {
    name: "a subscription at the edge that is reset continues after what it has skipped",
    patches: [patch(OBJECT, "    this.#skipped = undefined;\n", "")],
    world: { edgeSubscription: SUBSCRIBED, streams: 6, actions: 120 },
    by: "7 edge subscription",
  },
  {
    name: "a handler that ends after a reset moves the checkpoint of the reset",
    patches: [patch(OBJECT, "    if (this.#stored.now !== handed) return;\n    if (failure === null)", "    if (failure === null)")],
    world: { edgeSubscription: SUBSCRIBED, actions: 120, faults: { "wipe-store": 1 } },
    by: "7 edge subscription",
  },
];
