/** Bugs in the pure rules of `shared/device/`: the sync machine, the outbox, the replica and its scope. */
import { type Bug, patch } from "./bug.ts";

const BACKOFF = "shared/backoff.ts";
const DECIDER = "shared/device/decide-again.ts";
const DEVICE_LOG = "client/storage/device-log.ts";
const LEADERSHIP = "shared/device/leadership.ts";
const OUTBOX = "shared/device/outbox.ts";
const REJECTED = "shared/device/rejected.ts";
const REPLICA = "shared/device/replica.ts";
const SCOPE = "shared/device/scope.ts";
const SYNC = "shared/device/sync.ts";

export const SHARED: readonly Bug[] = [
  {
    name: "an acknowledgement that the feed never explains is waited for in vain",
    patches: [patch(SYNC, "return onLag(step);", "return wantPull(step);")],
    world: { devices: 2, minutes: 3, actions: 120, faults: { "restore-store": 1, "lose-answer": 1 } },
    by: "convergence in time",
  },
  {
    // The cursor is compared too, in the same transaction: either alone is enough to keep a page from being written twice.
    name: "a tab that thaws writes, wherever the device stands",
    patches: [patch(LEADERSHIP, "lease.term === term;", "lease.term >= term;"), patch(REPLICA, "!isNext || ", "")],
    world: { tabs: 3, scope: "all", faults: { "freeze-tab": 1, delay: 0.5, reset: 1 } },
    by: "2 dense",
  },
  {
    name: "a device does not keep which log it follows",
    patches: [patch(REPLICA, "{ ...followed, log, position, mark }", "{ ...followed, position, mark }")],
    world: { faults: { "wipe-store": 1, "wipe-log": 1 } },
    by: "convergence in time",
  },
  {
    name: "marks are not kept, so that a restored log passes for the one that was followed",
    patches: [patch(REPLICA, "{ ...followed, log, position, mark }", "{ ...followed, log, position }")],
    world: { actions: 120, faults: { "restore-store": 1, delay: 0.5 } },
    by: "10 one history",
  },
  {
    name: "a page is applied wherever the device stands",
    patches: [patch(REPLICA, "!isNext || ", "")],
    world: { tabs: 3, scope: "changing", faults: { "close-tab": 1, "lose-request": 0.5 } },
    by: "2 dense",
  },
  {
    name: "a commit is parked without those behind it",
    patches: [patch(REJECTED, "} else if (gone !== undefined) {", "} else if (gone !== undefined && !isBroken) {")],
    world: { faults: { poison: 1 } },
    by: "2 dense",
  },
  {
    name: "what stands behind a contested commit is sent",
    patches: [patch(SYNC, 'awaited.set(seq, { streamId, kind: "contested" });', "awaited.delete(seq);")],
    world: { streams: 1, actions: 120, rule: "rebase" },
    by: "convergence in time",
  },
  {
    name: "what did not fit into a push is dropped",
    patches: [
      patch(
        SYNC,
        "  read(step, covers, isOvertaken ? 0 : (batch[0]?.seq ?? 1) - 1);",
        "  read(step, covers, isOvertaken ? 0 : (batch.at(-1)?.seq ?? 1));",
      ),
    ],
    by: "readings",
  },
  {
    // Only a long outbox is read in part, and few devices have one: here each is long.
    name: "a page with others' events is taken for the device's own",
    patches: [
      patch(
        OUTBOX,
        "return expected?.id === received.id && expected.version === received.version && sameContent(received, expected);",
        "return true;",
      ),
      patch(DEVICE_LOG, "export const GROUPS_AT_ONCE = 32;", "export const GROUPS_AT_ONCE = 1;"),
    ],
    by: "2 dense",
  },
  {
    name: "an edge that can't be reached is taken for a refusal",
    patches: [
      patch(
        SYNC,
        'if (failure.kind !== "problem" || remedy === "retry") return',
        'if (remedy === "retry" && error.code !== "unavailable") return',
      ),
    ],
    by: "6 conservation",
  },
  {
    name: "the backoff has no end",
    patches: [patch(BACKOFF, "Math.min(longest, first * GROWTH ** (failures - 1))", "first * 10 ** (failures - 1)")],
    world: { minutes: 40, devices: 1, tabs: 1, actions: 20, isLive: false, faults: { "lose-request": 2.4 } },
    by: "convergence in time",
  },
  {
    name: "nothing is filled in where the scope widens",
    patches: [patch(SCOPE, "isWider ? [...kept, { within, position: 0, upTo: replica.position }] : kept", "kept")],
    by: "2 dense",
  },
  {
    name: "a command is decided again without the pending events ahead of it",
    patches: [patch(DECIDER, "[...recorded, ...ahead].map(read)", "recorded.map(read)")],
    world: { hasStock: true, devices: 3, actions: 120 },
    by: "stock",
  },
  {
    name: "a leader that froze keeps its place",
    patches: [patch(LEADERSHIP, "isSame ? watch.still + 1 : 0", "isSame ? 1 : 0")],
    world: { tabs: 3, faults: { "freeze-tab": 1 } },
    by: "convergence in time",
  },
  {
    name: "a stream that was set aside stays there",
    patches: [patch(SYNC, "state.isDeferredDue = true;", "state.isDeferredDue = false;")],
    world: { faults: { overload: 1, "lose-answer": 0.6 } },
    by: "convergence in time",
  },

  // Since the simulation runs the product itself.

  {
    name: "a commit that arrived in two pages stays in the outbox",
    patches: [
      patch(
        OUTBOX,
        'case "whole":\n        settled.push(entry);',
        'case "whole":\n        if (entry.confirmed === 0) settled.push(entry);',
      ),
    ],
    world: { pageEvents: 2, actions: 120 },
    by: "2 dense",
  },
  {
    name: "a commit is not decided again if others' events lead to the version that it expected",
    patches: [patch(OUTBOX, "(believed === next - 1 && !isOvertaken)", "believed === next - 1")],
    world: { rule: "discard", streams: 1, devices: 3, actions: 120, faults: { offline: 1, delay: 0.3, "lose-request": 0.3 } },
    by: "6 conservation",
  },
  {
    name: "a page of another scope is taken for the one that was asked for",
    patches: [patch(REPLICA, " && sameJson(next.within, request.within)", "")],
    world: { scope: "changing", tabs: 3, actions: 120 },
    by: "2 dense",
  },
];
