/** Bugs after which somebody gets a wrong history, or is not told of it: storage that fails, or is put back, and databases that are gone. */
import { type Bug, patch, SELDOM, SUBSCRIPTIONS } from "./bug.ts";
import { SUBSCRIBED } from "./edge-subscriptions.ts";

const DATABASE = "client/storage/database.ts";
const DIVERGED = "worker/log/diverged-streams.ts";
const FEED_PAGE = "worker/log/feed-page.ts";
const INDEX = "worker/log/stream-index.ts";
const INDEXING = "worker/log/stream-indexing.ts";
const LOG = "worker/log/log-object.ts";
const RUN_TAKER = "worker/log/run-taker.ts";
const LOG_ROWS = "worker/log/log-rows.ts";
const LOSS = "shared/device/loss.ts";
const PAGE_CHECK = "shared/device/page-check.ts";
const PUBLISHER = "worker/stream/publisher.ts";
const STORE_PARTS = "client/store-parts.ts";
const STREAM = "worker/stream/stream-object.ts";
const STREAM_RUNS = "worker/stream/stream-runs.ts";
const SUBSCRIPTION = "worker/subscription/subscription-object.ts";
const SYNC = "shared/device/sync.ts";
const TALLY = "client/storage/tally.ts";

/** Lines as they would be read without a look at their digests. */
const UNCHECKED = `events.split("\\n").map((line) => ({ content: line.slice(0, line.lastIndexOf(',"digest"')), digest: "" }))`;
const TOLD =
  "    if (this.#publisher.divergedAt !== undefined) return toRefused(divergedError(partsOf(name).streamId, this.#publisher.divergedAt));";
const DENSE = { minutes: 1.5, actions: 60 } as const;

export const WRONG_HISTORIES: readonly Bug[] = [
  {
    name: "a stream does not check the digests of what it reads",
    patches: [
      patch(
        STREAM_RUNS,
        "checkRun(events, streamId, firstVersion, lastVersion)",
        `checkRun(events, streamId, firstVersion, lastVersion) ?? ${UNCHECKED}`,
      ),
    ],
    world: { ...DENSE, faults: { "flip-in-stream": 1 } },
    by: "silently wrong",
  },
  {
    name: "the log passes a row on without checking it",
    patches: [
      patch(
        LOG_ROWS,
        "return checkRun(events, stream_id, first_version, last_version);",
        `return checkRun(events, stream_id, first_version, last_version) ?? ${UNCHECKED};`,
      ),
    ],
    world: { ...DENSE, faults: { "flip-in-log": 1 } },
    by: "silently wrong",
  },
  {
    name: "the log passes over a row that is missing",
    patches: [
      patch(
        FEED_PAGE,
        "    if (first > page.position + 1) page.meetDamage(page.position + 1, first - 1);\n    if (page.isOver) return;\n",
        "",
      ),
    ],
    world: { ...DENSE, faults: { "lose-row": 1 } },
    by: "2 dense",
  },
  {
    name: "a stream passes over a run that is missing",
    patches: [patch(STREAM_RUNS, "      if (run.firstVersion > next) onDamaged({ first: next, last: run.firstVersion - 1 });\n", "")],
    world: { ...DENSE, streams: 1, faults: { "lose-run": 1 } },
    by: "2 dense",
  },
  {
    name: "a page that skips what is damaged does not name it",
    patches: [patch(FEED_PAGE, "      this.#damaged.push({ first, last });\n", "")],
    world: { ...DENSE, faults: { "flip-in-log": 1, "lose-row": 1 } },
    by: "silently wrong",
  },
  {
    // The edge changes what it sends on feed sockets, and only the device's own check is left.
    name: "a device applies a page whose digest is wrong",
    patches: [
      patch(
        LOG,
        "toPage: (found) => pageOf(this.#runs, found),",
        `toPage: (found) => pageOf(this.#runs, { ...found, events: found.events.map((event) => event.replace('"number":1', '"number":0')) }),`,
      ),
      patch(PAGE_CHECK, "page.digest !== pageDigestOf(page.events)", "page.digest === pageDigestOf([])"),
    ],
    world: { ...DENSE, ...SELDOM, faults: {} },
    by: "8 immutable",
  },
  {
    name: "a device does not say why a page can't be had",
    patches: [patch(SYNC, "connection: link.outage.trouble, problem: link.outage.error", "connection: link.outage.trouble, problem: null")],
    world: { ...DENSE, devices: 4, faults: { "flip-in-log": 1, "lose-row": 1 } },
    by: "silently wrong",
  },
  {
    name: "a subscription tries again for ever where the log is damaged",
    patches: [
      patch(
        SUBSCRIPTION,
        "      if (isUnreadableLog(error)) return error;",
        '      if (isUnreadableLog(error) && error.code !== "storage-damaged") return error;',
      ),
    ],
    world: { ...DENSE, edgeSubscription: SUBSCRIBED, faults: { "flip-in-log": 1 } },
    by: "silently wrong",
  },
  {
    name: "the log does not compare the content of a run that is sent again",
    patches: [patch(RUN_TAKER, "if (firstVersion > head) return undefined;", "if (firstVersion > 0) return undefined;")],
    world: { ...DENSE, streams: 2, faults: { "restore-stream": 1 } },
    by: "1 acknowledged",
  },
  {
    name: "a stream that has diverged goes on taking commits",
    patches: [
      patch(STREAM, `${TOLD}\n    let results`, "    let results"),
      patch(STREAM, `${TOLD}\n    this.#answered`, "    this.#answered"),
    ],
    world: { ...DENSE, streams: 2, faults: { "restore-stream": 1, "delete-stream": 1 } },
    by: "silently wrong",
  },
  {
    name: "health forgets which streams have diverged after an eviction",
    patches: [
      patch(
        DIVERGED,
        "storage.kv.list<number>({ prefix: PREFIX })) this",
        "storage.kv.list<number>({ prefix: PREFIX })) if (version < 0) this",
      ),
    ],
    world: { ...DENSE, streams: 2, faults: { "restore-stream": 1, "crash-object": 1, evict: 1 } },
    by: "silently wrong",
  },
  {
    name: "a stream reports once that it has diverged, and not again if the log did not hear it",
    patches: [
      patch(PUBLISHER, "    if (!isNew) return;\n", "    if (!isNew) return;\n    this.#reportedAt = at;\n"),
      patch(
        PUBLISHER,
        '      logFault("publish", error);\n      this.arm(alarmDelay(++this.#failures));\n',
        '      logFault("publish", error);\n',
      ),
    ],
    world: { minutes: 0.7, actions: 40, streams: 2, faults: { "restore-stream": 0.4, "lose-call": 2 } },
    by: "silently wrong",
  },
  {
    name: "the log does not compare itself with the end that the index remembers",
    patches: [patch(INDEXING, "own ?? (other === null ? own : other)", "own")],
    world: { ...DENSE, streams: 2, faults: { "wipe-log": 1, "restore-log": 1 } },
    by: "silently wrong",
  },
  {
    name: "the index is told the log's end once, and not again",
    patches: [patch(INDEXING, "const isGrown = this.#lostOf(told)", "const isGrown = told === null && this.#lostOf(told)")],
    world: DENSE,
    by: "silently wrong",
  },
  {
    name: "the index remembers any end that it is told, also that of a log that was put back",
    patches: [patch(INDEX, "if (!isSameEnd(known, before)) return", "if (end.head < 0) return")],
    world: { ...DENSE, streams: 2, faults: { "wipe-log": 1, "restore-log": 1 } },
    by: "silently wrong",
  },
  {
    name: "a device does not notice that its database was begun anew",
    patches: [patch(LOSS, "if (count.database === identity.id || count.commits === 0) continue;", 'if (count.database !== "") continue;')],
    world: { ...DENSE, faults: { "evict-device": 1, offline: 1 } },
    by: "silently wrong",
  },
  {
    name: "a loss is known to the tabs that are open, and to no later start",
    patches: [patch(TALLY, 'storage.setItem(keyOf(this.#name), this.#seen ?? "")', "storage.removeItem(keyOf(this.#name))")],
    world: { ...DENSE, faults: { "evict-device": 1, offline: 1 } },
    by: "silently wrong",
  },
  {
    name: "a tab writes the count that it knows, whatever another tab has counted",
    patches: [patch(TALLY, "      await this.#countAgain();\n", "")],
    world: { ...DENSE, tabs: 3, faults: { "evict-device": 1, offline: 1, "late-hint": 1 } },
    by: "silently wrong",
  },
  {
    name: "sync goes on with what it knew of a database that is gone",
    patches: [patch(STORE_PARTS, "    if (isAnew) void this.#syncer?.redirected(true).catch(unlessStorage);\n", "")],
    world: { ...DENSE, faults: { "evict-device": 1, "log-outage": 1, delay: 1 } },
    by: "silently wrong",
  },
  {
    name: "a new database counts as the copy of the log that is gone with the one before",
    patches: [patch(DATABASE, "resets: firstCopyOf(identity.id)", "resets: 0")],
    world: { ...DENSE, derives: SUBSCRIPTIONS, scope: "all", faults: { "evict-device": 1, offline: 1 } },
    by: "errors",
  },
];
