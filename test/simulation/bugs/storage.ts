/** Bugs in `client/storage/` and `client/conflicts/`: what the device writes, and in which transaction. */
import { type Bug, patch } from "./bug.ts";

const APPENDER = "client/storage/appender.ts";
const CONNECTION = "client/storage/connection.ts";
const DEVICE_LOG = "client/storage/device-log.ts";
const GROUPS = "client/storage/groups.ts";
const MEMORY = "client/storage/version-memory.ts";
const PAGE = "client/storage/page.ts";
const PARTS = "client/store-parts.ts";
const RESET = "client/storage/reset.ts";
const RESOLVE = "client/conflicts/resolve-parked.ts";
const RESOLVER = "client/conflicts/resolver.ts";

export const STORAGE: readonly Bug[] = [
  {
    name: "the cursor moves before the events are written",
    patches: [
      patch(
        PAGE,
        'const tx: WriteTx = db.transaction(["events", "parked", "meta", "lease"], "readwrite", { durability });',
        `const first = await replicaOf(db.transaction(["meta"], "readonly"));
  const moved = decidePage(first, page, request);
  if (moved.kind === "apply") await db.transaction(["meta"], "readwrite").objectStore("meta").put(moved.replica, "history");
  const tx: WriteTx = db.transaction(["events", "parked", "meta", "lease"], "readwrite", { durability });`,
      ),
      patch(PAGE, "const [before, stored] = await Promise.all([replicaOf(tx),", "const [before, stored] = await Promise.all([first,"),
    ],
    world: { actions: 120, tabs: 3, devices: 3, faults: { "crash-tab": 1, "crash-device": 1, "abort-write": 1, "no-room": 0.3 } },
    by: "2 dense",
  },
  {
    name: "a page does not settle what it confirms",
    patches: [patch(PAGE, "of [...settled, ...discarded]", "of [...settled.slice(1), ...discarded]")],
    by: "2 dense",
  },
  {
    name: "a reset drops what is pending",
    patches: [patch(RESET, "if (keepPending) {", "if (!keepPending) {")],
    by: "1 acknowledged",
  },
  {
    name: "a reset leaves pending commits at their versions",
    patches: [patch(RESET, "detach(outbox.entries(streamId))", "outbox.entries(streamId)")],
    by: "2 dense",
  },
  {
    name: "events that a rule puts in others' place are written relaxed",
    patches: [patch(PARTS, '.resolve, durability: "strict" }', '.resolve, durability: "relaxed" }')],
    world: { rule: "replace", streams: 1, devices: 3, tabs: 1, actions: 240, faults: { "crash-device": 4 } },
    by: "6 conservation",
  },
  {
    name: "an append is written relaxed",
    patches: [patch(APPENDER, 'stores, "readwrite", { durability });', 'stores, "readwrite", { durability: "relaxed" });')],
    by: "1 acknowledged",
  },
  {
    name: "a command that was overtaken is moved as it is",
    patches: [
      patch(
        RESOLVER,
        'return decideAgain(deciders, again, eventTypes?.commands, known, (events) => completed(internals, contested, events, "decide."));',
        'return { kind: "rebase" };',
      ),
    ],
    world: { hasStock: true, devices: 3, actions: 120 },
    by: "stock",
  },
  {
    name: "a conflict forgets its command",
    patches: [patch(DEVICE_LOG, "events: JSON.stringify(events), command };", "events: JSON.stringify(events) };")],
    world: { hasStock: true, devices: 3, actions: 120 },
    by: "stock",
  },
  {
    name: "who appends a parked commit again has it twice",
    patches: [
      patch(
        APPENDER,
        "decisions.flatMap((decided) => decided.superseded)",
        'decisions.flatMap(({ decision, superseded }) => (decision.kind === "duplicate" ? superseded : []))',
      ),
    ],
    world: { rule: "park", streams: 1, devices: 3, actions: 240, faults: { "crash-device": 0.5, "abort-write": 1 } },
    by: "6 conservation",
  },
  {
    name: "a parked commit stays parked when its events arrive",
    patches: [patch(PAGE, "const ended = endParked(tx, stored.parked, streams);", "const ended: Promise<unknown>[] = [];")],
    world: { faults: { reset: 1, delay: 0.5 } },
    by: "6 conservation",
  },
  {
    name: "a rebase keeps the version that was believed",
    patches: [patch(RESOLVE, "{ version: await versionOf(tx, streamId), recorded }", "{ version: parked.reason.actualVersion, recorded }")],
    by: "2 dense",
  },

  // Since the simulation runs the product itself.

  {
    name: "a write resolves before its transaction is complete",
    patches: [patch(DEVICE_LOG, "    await tx.done;\n", "")],
    world: { actions: 120, faults: { "abort-write": 1, "crash-tab": 1 } },
    by: "1 acknowledged",
  },
  {
    name: "an append on a new connection does not look for what the first try has written",
    patches: [patch(APPENDER, "isRepeated ? group.map((request) => ({ ...request, mayRepeat: true })) : group", "group")],
    world: { actions: 240, devices: 3, faults: { "lose-connection": 5 } },
    by: "6 conservation",
  },
  {
    name: "an append rejects because another tab has appended",
    patches: [patch(APPENDER, "if (!(error instanceof Distrust)) throw error;", "throw error;")],
    world: { tabs: 3, actions: 120 },
    by: "errors",
  },
  {
    name: "an append that comes while others are written waits for the next append",
    patches: [patch(APPENDER, "while (this.#waiting.length > 0) {", "if (this.#waiting.length > 0) {")],
    world: { actions: 120, tabs: 1 },
    by: "convergence in time",
  },
  {
    name: "remembered versions are believed although another tab has written",
    patches: [patch(MEMORY, "firstKey === this.#lastKey + 1;", "firstKey !== undefined && firstKey > this.#lastKey;")],
    world: { tabs: 3, streams: 2, actions: 120 },
    by: "2 dense",
  },
  {
    name: "remembered versions are believed although a page has moved commits",
    patches: [patch(PAGE, "mayChange ? skipNumber(tx) : undefined", "undefined")],
    world: { devices: 3, streams: 2, actions: 120 },
    by: "2 dense",
  },
  {
    name: "a group that has lost a commit is still found by its versions",
    patches: [patch(GROUPS, "{ key: group.key, ...toGroup(commits) }", "{ ...group, commits: commits.map(({ text }) => text) }")],
    world: { streams: 1, actions: 120 },
    by: "2 dense",
  },
  {
    name: "a backfilled page is taken for the end of its streams",
    patches: [patch(PAGE, "isBackfill ? undefined : ", "")],
    world: { scope: "changing", tabs: 3, pageEvents: 2, actions: 120 },
    by: "2 dense",
  },
  {
    name: "of a page that is backfilled only the first segment is kept",
    patches: [patch(PAGE, "await store.getAll(range))", "await store.getAll(range, 1))")],
    world: { scope: "changing", tabs: 3, actions: 120, pageEvents: 7 },
    by: "2 dense",
  },
  {
    name: "a small page that is written anew stays beside the new one",
    patches: [patch(PAGE, "      writes.push(store.delete(last.key));\n", "")],
    by: "2 dense",
  },
  {
    name: "a conflict that is rebased stays in the list",
    patches: [patch(RESOLVE, "= [store.delete(seq)];", "= isRebase ? [] : [store.delete(seq)];")],
    by: "6 conservation",
  },
  {
    name: "a conflict is resolved relaxed",
    patches: [patch(RESOLVE, '"readwrite", { durability: "strict" }', '"readwrite", { durability: "relaxed" }')],
    world: { hasStock: true, rule: "park", actions: 120, faults: { "crash-device": 1 } },
    by: "6 conservation",
  },
  {
    name: "a connection that died is used again",
    patches: [
      patch(CONNECTION, "        this.#forget(opened);\n        db.close();\n", ""),
      patch(CONNECTION, "terminated: forget,", "terminated: () => undefined,"),
    ],
    world: { minutes: 1, tabs: 1, actions: 60, faults: { "lose-connection": 5 } },
    by: "convergence in time",
  },
  {
    name: "a failure of the storage reaches the app as it is",
    patches: [patch(CONNECTION, "throw typed;", "throw error;")],
    world: { actions: 120, faults: { "abort-write": 1, "no-room": 1 } },
    by: "errors",
  },
];
