/** Bugs with two versions of an app side by side, and in the commands that handlers give. */
import type { Params } from "../params.ts";
import { type Bug, patch } from "./bug.ts";
import { GUARDED } from "./deciding.ts";
import { SUBSCRIBED } from "./edge-subscriptions.ts";

const COMMAND_VERSIONS = "shared/decider/command-versions.ts";
const DECIDE_AGAIN = "shared/device/decide-again.ts";
const HANDLE_COMMAND = "worker/subscription/handle-command.ts";

const OF_THE_EDGE: Partial<Params> = { ...GUARDED, tabs: 3, habits: ["rollout"] };
const OF_DEVICES: Partial<Params> = { ...OF_THE_EDGE, isGuarded: false };
const HANDLERS: Partial<Params> = { ...GUARDED, tabs: 3, edgeSubscription: SUBSCRIBED };

export const VERSIONS: readonly Bug[] = [
  {
    name: "an old tab decides what later code has asked for",
    patches: [
      patch(
        DECIDE_AGAIN,
        'if (known.kind === "newer") return { kind: "wait", error: isForLater(command, decider) };\n    if (known.kind !== "readable")',
        'if (known.kind === "older")',
      ),
      patch(
        DECIDE_AGAIN,
        "decideCommand(decider, known.data,",
        'decideCommand(decider, known.kind === "newer" ? command.data : known.data,',
      ),
    ],
    world: OF_DEVICES,
    by: "versions",
  },
  {
    name: "an old edge decides what later code has asked for",
    patches: [
      patch(
        COMMAND_VERSIONS,
        'if (version > decider.version) return { kind: "newer" };',
        'if (version > decider.version) return { kind: "readable", data };',
      ),
    ],
    world: OF_THE_EDGE,
    by: "versions",
  },
  {
    name: "a command of earlier code is decided as it is",
    patches: [patch(COMMAND_VERSIONS, "if (version === decider.version || version === 0)", "if (version <= decider.version)")],
    world: OF_DEVICES,
    by: "versions",
  },
  {
    name: "an old tab makes a conflict of what later code has asked for",
    patches: [patch(DECIDE_AGAIN, 'if (known.kind === "newer") return { kind: "wait", error: isForLater(command, decider) };', "")],
    world: OF_DEVICES,
    by: "versions",
  },
  {
    name: "a tab with the later code does not take the lead",
    patches: [patch("client/sync/syncer.ts", 'if (message.problem?.code === "decider-version")', "if (false)")],
    world: OF_DEVICES,
    by: "convergence in time",
  },
  {
    name: "a snapshot of another version of the decider is used",
    patches: [patch("shared/decider/snapshot.ts", "return deciderVersion === decider && version <= stream;", "return version <= stream;")],
    world: OF_THE_EDGE,
    by: "stock",
  },
  {
    name: "a command of a handler has another id each time",
    patches: [
      patch(
        HANDLE_COMMAND,
        "id: decidedEventId(JSON.stringify([place, key ?? null]), key === undefined ? before : 0),",
        "id: crypto.randomUUID(),",
      ),
    ],
    world: HANDLERS,
    by: "given commands",
  },
  {
    name: "the commands of all events that a handler gets have one id",
    patches: [
      patch(HANDLE_COMMAND, "JSON.stringify([cause.streamId, cause.id, subscription,", "JSON.stringify([cause.streamId, subscription,"),
    ],
    world: HANDLERS,
    by: "given commands",
  },
];
