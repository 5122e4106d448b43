/** Bugs in the subscriptions of a device: `client/subscription/`, and its rules in `shared/device/subscription.ts`. */
import { type Bug, patch, SELDOM, SUBSCRIPTIONS } from "./bug.ts";

const CONFIRMED = "client/storage/confirmed.ts";
const CONTROL = "client/subscription/control.ts";
const ELECTED = "client/tools/elected.ts";
const LOOK_AHEAD = "client/subscription/look-ahead.ts";
const RULES = "shared/device/subscription.ts";
const SUBSCRIBER = "client/subscription/subscriber.ts";

export const DEVICE_SUBSCRIPTIONS: readonly Bug[] = [
  {
    name: "the checkpoint of a subscription is written before its handler has the event",
    patches: [
      patch(
        SUBSCRIBER,
        "const failure = await this.#handOver(event);",
        `await this.#write(afterHandOver(subscription, event, null, { now: Date.now(), random: 0 }, this.#policy));
    const failure = await this.#handOver(event);`,
      ),
    ],
    world: { derives: SUBSCRIPTIONS, scope: "all", faults: { "crash-tab": 1, "close-tab": 1 } },
    by: "7 subscription",
  },
  {
    name: "what a subscription sets aside is not listed",
    patches: [patch(RULES, "step.progress), deadLetters, dealtWith }", "step.progress), dealtWith }")],
    world: { derives: SUBSCRIPTIONS, scope: "all" },
    by: "7 subscription",
  },
  {
    name: "an event that is refused is taken for handled",
    patches: [patch(SUBSCRIBER, "return messageOfFailure(error);", "return null;")],
    world: { derives: SUBSCRIPTIONS, scope: "all" },
    by: "7 subscription",
  },
  {
    name: "a subscription goes on in another history as if it was its own",
    patches: [patch(SUBSCRIBER, "continuedIn(stored, replica, held)", "continuedIn(stored, replica, stored.dealtWith)")],
    world: { derives: SUBSCRIPTIONS, scope: "all", tabs: 1, faults: { "wipe-store": 1 } },
    by: "7 subscription",
  },
  {
    name: "what a wider filter brings is not handed over",
    patches: [patch(RULES, "...subscription.parts.slice(0, -1), ...added, feed]", "...subscription.parts.slice(0, -1), feed]")],
    world: { derives: SUBSCRIPTIONS, scope: "changing", actions: 120 },
    by: "7 subscription",
  },
  {
    name: "a page that is missing after a reset passes for a part without events",
    patches: [
      patch(CONFIRMED, "return isSameCopy(replica, now) ? stretch : undefined;", "return stretch;"),
      patch(RULES, "if (isSameCopy(subscription, replica)) return", "if (subscription.resets <= replica.resets) return"),
    ],
    world: { derives: SUBSCRIPTIONS, scope: "all", actions: 120, faults: { reset: 1 } },
    by: "errors",
  },
  {
    name: "an event that is set aside again stands in the list twice",
    patches: [
      patch(RULES, "...withoutOne(subscription.deadLetters, event.id), deadLetterOf(", "...subscription.deadLetters, deadLetterOf("),
    ],
    world: { minutes: 1, derives: SUBSCRIPTIONS, scope: "all", tabs: 1, actions: 240, onFailure: "dead-letter", faults: {} },
    by: "7 subscription",
  },

  // Since the simulation runs the product itself.

  {
    name: "a handler's promise is not waited for",
    patches: [patch(SUBSCRIBER, "await this.#handler(", "void this.#handler(")],
    world: { derives: SUBSCRIPTIONS, scope: "all", actions: 120 },
    by: "7 subscription",
  },
  {
    name: "events that were read ahead outlive a reset",
    patches: [patch(LOOK_AHEAD, "[replica.resets, replica.scope, within, without]", "[replica.scope, within, without]")],
    world: { derives: SUBSCRIPTIONS, scope: "all", tabs: 1, actions: 120, faults: { "restore-store": 1, reset: 1 } },
    by: "7 subscription",
  },
  {
    name: "a checkpoint is written over what an operator has requested meanwhile",
    patches: [patch(SUBSCRIBER, "(now) => unlessOvertaken(subscription, now)", "() => subscription")],
    world: { scope: "all", tabs: 3, actions: 120, derives: SUBSCRIPTIONS },
    by: "7 subscription",
  },
  {
    name: "a subscription that was ended keeps its lock",
    patches: [patch(ELECTED, "      end();\n      resolve();\n", "      end();\n")],
    world: { derives: SUBSCRIPTIONS, scope: "all", tabs: 3, actions: 120, faults: { "close-tab": 1 } },
    by: "convergence in time",
  },
  {
    name: "the tab that runs a subscription is not told of what an operator requests",
    patches: [patch(CONTROL, "    this.#channel.notify();\n", "")],
    world: { minutes: 0.5, devices: 2, scope: "all", tabs: 3, actions: 12, onFailure: "stop", derives: SUBSCRIPTIONS, ...SELDOM },
    by: "convergence in time",
  },
  {
    name: "what an operator requests is written relaxed",
    patches: [patch(CONTROL, '        "strict",\n', '        "relaxed",\n')],
    world: {
      minutes: 5,
      actions: 240,
      devices: 1,
      tabs: 1,
      streams: 1,
      rule: "park",
      hasStock: false,
      habits: [],
      derives: SUBSCRIPTIONS,
      scope: "all",
      faults: { "crash-device": 30 },
    },
    by: "7 subscription",
  },
  {
    name: "the status of a subscription is that of the last change of the store",
    patches: [patch(SUBSCRIBER, "      channel.notify();\n", "")],
    world: { minutes: 0.5, derives: SUBSCRIPTIONS, scope: "all", tabs: 3, actions: 20, ...SELDOM },
    by: "convergence in time",
  },
  {
    name: "a subscription takes the events that it has read ahead for all that there are",
    patches: [patch(LOOK_AHEAD, "after < known.end) return known;", "after <= known.end) return known;")],
    world: { derives: SUBSCRIPTIONS, scope: "all", actions: 120 },
    by: "convergence in time",
  },
];
