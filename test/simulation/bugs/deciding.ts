/** Bugs in how the edge decides commands, and in what devices make of it. */
import type { Params } from "../params.ts";
import { type Bug, patch } from "./bug.ts";

const APPENDING = "worker/stream/appending.ts";
const DECISION = "shared/edge/decision.ts";
const GUARD = "shared/edge/guard.ts";
const KNOWN_IDS = "worker/stream/known-ids.ts";
const OUTBOX = "shared/device/outbox.ts";
const PUSH = "shared/device/push.ts";

/** The edge decides what devices ask of their shelf, and little else happens. */
export const GUARDED: Partial<Params> = {
  hasStock: true,
  isGuarded: true,
  actions: 160,
  devices: 3,
  scope: "all",
  habits: [],
  derives: { rows: false, subscriptions: false, states: false },
};

export const DECIDING: readonly Bug[] = [
  {
    name: "who may only give commands has events recorded without one",
    patches: [patch(GUARD, 'if (mayAppend) return "as-sent";', 'if (mayAppend || mayHandle) return "as-sent";')],
    world: GUARDED,
    by: "stock",
  },
  {
    name: "what was sent is recorded, whatever the edge decides",
    patches: [patch(DECISION, "events.every((event, i) => isSent(event, sent[i]))", "sent.length > 0")],
    world: GUARDED,
    by: "stock",
  },
  {
    name: "a refusal at the edge lets the events through",
    patches: [patch(DECISION, 'return { kind: "refused", refusal: refusalOf(error) };', 'return { kind: "as-sent", state };')],
    world: GUARDED,
    by: "stock",
  },
  {
    name: "the second command of a push is decided on the state that the first one found",
    patches: [patch(APPENDING, "this.folded ?? { version: this.#host.version,", "{ version: this.version,")],
    world: { ...GUARDED, pushCommits: 5 },
    by: "stock",
  },
  {
    name: "a command that comes again is decided again",
    patches: [
      patch(
        APPENDING,
        "const places = command === undefined ? undefined : this.#host.ids.ofCommand(command.id);",
        "const places = undefined as { first: number; last: number } | undefined;",
      ),
    ],
    world: { ...GUARDED, faults: { "lose-answer": 1 } },
    by: "6 conservation",
  },
  {
    name: "a stream that wakes up does not know the commands that it has decided",
    patches: [patch(KNOWN_IDS, "content.includes(MARK) ? commandIdOf", "content.startsWith(MARK) ? commandIdOf")],
    world: { ...GUARDED, faults: { "lose-answer": 1, "crash-object": 1 } },
    by: "6 conservation",
  },
  {
    name: "the fingerprints of a stream's ids are not looked at",
    patches: [patch(KNOWN_IDS, "of known.placesOf(print)) {", "of known.placesOf(print).slice(1)) {")],
    world: { devices: 2, streams: 2, faults: { "lose-answer": 1, "crash-object": 1 } },
    by: "3 unique ids",
  },
  {
    name: "a device does not know the edge's events by their command",
    patches: [
      patch(
        OUTBOX,
        "if (confirmed === 0 && command !== undefined && isDecided(command.id, events, byId))",
        "if (command !== undefined && false)",
      ),
    ],
    world: GUARDED,
    by: "6 conservation",
  },
  {
    name: "a command that the edge refuses is taken for recorded",
    patches: [
      patch(
        PUSH,
        "refused.push({ entry, reason: commandRefusal(message, { name, message, data }), isAlone: true });",
        "taken.push(entry);",
      ),
    ],
    world: GUARDED,
    by: "convergence in time",
  },
  {
    name: "a stream does not note what it has refused",
    patches: [patch(APPENDING, "this.refused.push({ commandId: command.id, refusal });", "")],
    world: GUARDED,
    by: "given commands",
  },
];
