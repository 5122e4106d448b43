/** Bugs in what a device derives from its events: streams' states, snapshots, live values, and the rows of projections. */
import { type Bug, patch, ROWS, SELDOM, STATES } from "./bug.ts";

const AGGREGATES = "client/streams/aggregates.ts";
const DEVICE_LOG = "client/storage/device-log.ts";
const FLUSH = "client/storage/flush.ts";
const HANDLE = "client/streams/handle.ts";
const IDLE = "client/tools/when-idle.ts";
const LIVE_STATE = "client/streams/live-state.ts";
const PROJECTION = "shared/device/projection.ts";
const PROJECTOR = "client/rows/projector.ts";
const READER = "client/storage/reader.ts";
const RESET = "client/storage/reset.ts";
const ROW_DATABASE = "client/rows/row-database.ts";
const SAME_COPY = "shared/device/same-copy.ts";
const SEGMENTS = "client/storage/segments.ts";
const SNAPSHOT = "shared/decider/snapshot.ts";

export const STREAMS_AND_ROWS: readonly Bug[] = [
  {
    name: "a snapshot is taken of what is pending",
    patches: [patch(AGGREGATES, "const confirmed = events.filter(({ pending }) => !pending);", "const confirmed = events;")],
    world: { derives: STATES },
    by: "shown",
  },
  {
    name: "a snapshot of another version of the decider is believed",
    patches: [patch(SNAPSHOT, "deciderVersion === decider && version <= stream", "version <= stream")],
    world: { derives: STATES },
    by: "snapshots",
  },
  {
    name: "snapshots outlive a reset",
    patches: [patch(RESET, ', tx.objectStore("snapshots").clear()]', "]")],
    world: { derives: STATES, tabs: 1, streams: 2, faults: { "wipe-store": 1 } },
    by: "snapshots",
  },
  {
    name: "an event is folded into its rows twice",
    patches: [patch(PROJECTOR, "{ after: start.position }", "{ after: Math.max(0, start.position - 1) }")],
    world: { derives: ROWS },
    by: "projections",
  },
  {
    name: "the checkpoint of a projection is written before its rows",
    patches: [
      patch(
        ROW_DATABASE,
        'const tx: Tx<"readwrite"> = db.transaction(["rows", "meta"], "readwrite", { durability: "relaxed" });',
        `void db.transaction(["meta"], "readwrite", { durability: "relaxed" }).objectStore("meta").put(after, "checkpoint");
      const tx: Tx<"readwrite"> = db.transaction(["rows", "meta"], "readwrite", { durability: "relaxed" });`,
      ),
      patch(ROW_DATABASE, "if (!sameJson(checkpoint, before)) return false;", "if (!sameJson(checkpoint, after)) return false;"),
    ],
    world: { derives: ROWS, faults: { "abort-write": 1 } },
    by: "projections",
  },
  {
    name: "rows of another history are kept",
    patches: [patch(PROJECTION, "folded.log === log && isSameCopy(folded, { resets })", "folded.log !== null")],
    world: { derives: ROWS, faults: { "wipe-store": 1 } },
    by: "projections",
  },
  {
    name: "rows are not built anew where the filter is widened",
    patches: [patch(PROJECTION, " && sameJson(folded.scope, scope)", "")],
    world: { derives: ROWS, scope: "changing" },
    by: "projections",
  },
  {
    name: "rows are folded from the beginning over those that stand there",
    patches: [patch(PROJECTION, "isAnew: true }", "isAnew: folded.log !== log }")],
    world: { derives: ROWS, scope: "changing" },
    by: "projections",
  },
  {
    name: "a reset is not counted",
    patches: [patch(SAME_COPY, "resets: resets + 1, scope", "resets, scope")],
    world: { derives: ROWS, scope: "all", tabs: 1, faults: { "restore-store": 1 } },
    by: "projections",
  },
  {
    name: "rows are folded from what is not on the disk yet",
    patches: [patch(PROJECTOR, "    await this.#flush(replica);\n", "")],
    world: {
      minutes: 2,
      derives: ROWS,
      scope: "all",
      tabs: 1,
      devices: 3,
      actions: 120,
      isLive: true,
      faults: { "crash-device": 5, offline: 2 },
    },
    by: "projections",
  },

  // Since the simulation runs the product itself.

  {
    name: "a flush writes nothing",
    patches: [patch(FLUSH, 'tx.objectStore("meta").put(await replicaOf(tx), "history")', "replicaOf(tx)")],
    world: {
      minutes: 2,
      derives: ROWS,
      scope: "all",
      tabs: 1,
      devices: 3,
      actions: 120,
      isLive: true,
      faults: { "crash-device": 5, offline: 2 },
    },
    by: "projections",
  },
  {
    name: "several tabs fold a projection, and none compares the checkpoint",
    patches: [
      patch(PROJECTOR, "await whileElected(this.#name, ending,", "await whileElected(undefined, ending,"),
      patch(ROW_DATABASE, "        if (!sameJson(checkpoint, before)) return false;\n", ""),
    ],
    world: { derives: ROWS, tabs: 3, actions: 120 },
    by: "projections",
  },
  {
    name: "a page of rows is written again on a new connection",
    patches: [patch(ROW_DATABASE, "        if (!sameJson(checkpoint, before)) return false;\n", "")],
    world: { minutes: 0.7, devices: 1, tabs: 2, actions: 60, derives: ROWS, habits: [], faults: { "lose-connection": 4 } },
    by: "projections",
  },
  {
    name: "a projection is folded while a backfill is not complete",
    patches: [patch(PROJECTOR, "    if (replica.backfills.length > 0) return false;\n", "")],
    world: { derives: ROWS, scope: "changing", tabs: 3, actions: 120 },
    by: "projections",
  },
  {
    name: "the tab that folds does not tell the others",
    patches: [patch(PROJECTOR, "    this.#tabs?.postMessage(null);\n", "")],
    world: { derives: ROWS, tabs: 3, ...SELDOM },
    by: "convergence in time",
  },
  {
    name: "events are read stream by stream",
    patches: [patch(SEGMENTS, ".sort((a, b) => a.position - b.position)", "")],
    world: { scope: "all", streams: 6, actions: 120 },
    by: "7 consumer",
  },
  {
    name: "a stream that is read backwards has one event too many",
    patches: [patch(READER, "Math.max(1, upper - limit + 1)", "Math.max(1, upper - limit)")],
    world: { habits: ["browse"], minutes: 1, actions: 60 },
    by: "readings",
  },
  {
    name: "a page of a single event is left out",
    patches: [patch(DEVICE_LOG, "[position + 1, 0], END", "[position + 2, 0], END")],
    world: { scope: "all", actions: 120 },
    by: "7 subscription",
  },
  {
    name: "a snapshot that can't be stored is an unhandled rejection",
    patches: [patch(IDLE, "void work().catch(() => undefined);", "void work();")],
    world: { derives: STATES, streams: 1, actions: 120, faults: { "abort-write": 1, "no-room": 1 } },
    by: "errors",
  },
  {
    name: "a live state continues from the state of a discarded copy of the log",
    patches: [patch(AGGREGATES, "known !== undefined && isSameCopy(known, replica)", "known !== undefined")],
    world: { tabs: 1, streams: 2, actions: 120, faults: { "wipe-store": 1, reset: 1 } },
    by: "shown",
  },
  {
    name: "a live state is not set when only its pending events have changed",
    patches: [patch(LIVE_STATE, " && unconfirmed === read.unconfirmed", "")],
    world: { rule: "replace", streams: 1, devices: 3, actions: 120 },
    by: "shown",
  },
  {
    name: "a command is appended on whatever version the stream has",
    patches: [patch(HANDLE, "{ expectedVersion: version, ...(causedBy", "{ ...(causedBy")],
    world: { hasStock: true, devices: 3, tabs: 3, actions: 120 },
    by: "stock",
  },
];
