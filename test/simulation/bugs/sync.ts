/** Bugs in `client/sync/`, `client/edge/` and the tools that they use: sessions, elections, messages between tabs, the status. */
import { type Bug, patch } from "./bug.ts";

const DEVICE_LOG = "client/storage/device-log.ts";
const EDGE_CALL = "client/edge/edge-call.ts";
const ELECTION = "client/sync/election.ts";
const OVERVIEW = "client/sync/overview.ts";
const PARTS = "client/store-parts.ts";
const SESSION = "client/sync/session.ts";
const SOCKET = "client/edge/feed-socket.ts";
const SYNCER = "client/sync/syncer.ts";

export const SYNC: readonly Bug[] = [
  {
    name: "a commit leaves the outbox when the push is answered",
    patches: [
      patch(
        SESSION,
        'import { entriesAfter } from "../storage/outbox.ts";',
        'import { entriesAfter, OutboxPart } from "../storage/outbox.ts";',
      ),
      patch(
        SESSION,
        "return pushed(request, await pushCommits(this.#edge, effect.batch, effect.replica));",
        `{
          const answer = await pushCommits(this.#edge, effect.batch, effect.replica);
          await this.#context.database.run(async (db) => {
            const tx = db.transaction(["events", "meta"], "readwrite");
            const outbox = await OutboxPart.readAll(tx);
            for (const { seq, streamId } of effect.batch) {
              if (outbox.entries(streamId).some((entry) => entry.seq === seq)) outbox.remove(seq);
            }
            await outbox.write(tx);
          });
          return pushed(request, answer);
        }`,
      ),
    ],
    by: "1 acknowledged",
  },
  {
    name: "a push that is tried again has new ids",
    patches: [
      patch(
        SESSION,
        "pushCommits(this.#edge, effect.batch, effect.replica)",
        `pushCommits(
            this.#edge,
            this.#state.strikes === 0
              ? effect.batch
              : effect.batch.map((entry) => ({ ...entry, events: entry.events.map((event) => ({ ...event, id: crypto.randomUUID() })) })),
            effect.replica,
          )`,
      ),
    ],
    by: "6 conservation",
  },
  {
    name: "a tab with another filter appends to what the device does not follow",
    patches: [patch(SESSION, "if (strays.length > 0)", "if (strays.length > unsent.length)")],
    world: {
      minutes: 0.5,
      tabs: 3,
      devices: 4,
      streams: 12,
      actions: 60,
      scope: "changing",
      isAutomatic: true,
      faults: { "close-tab": 6, "lose-hint": 1 },
    },
    by: "convergence in time",
  },
  {
    // It reads on until it has some pushes, and few devices have more: here it reads two groups.
    name: "the outbox is read once",
    patches: [
      patch(SESSION, "isEnd: unsent.length === 0", "isEnd: true"),
      patch(SESSION, "const bounds = { commits: PUSHES_AT_ONCE * commits,", "const bounds = { commits: Math.min(1, commits),"),
      patch(DEVICE_LOG, "export const GROUPS_AT_ONCE = 32;", "export const GROUPS_AT_ONCE = 2;"),
    ],
    world: { actions: 120, faults: { poison: 1 } },
    by: "convergence in time",
  },

  // Since the simulation runs the product itself.

  {
    name: "a tab that was deposed is no candidate any more",
    patches: [patch(ELECTION, "while (!this.#closing.aborted) {", "if (!this.#closing.aborted) {")],
    world: { tabs: 2, isAutomatic: true, actions: 120, faults: { "freeze-tab": 1, "close-tab": 1 } },
    by: "convergence in time",
  },
  {
    name: "a beat that can't be written is an unhandled rejection",
    patches: [patch(ELECTION, "changeLease(db, beat)).catch(unlessStorage);", "changeLease(db, beat));")],
    world: { tabs: 3, faults: { "no-room": 1, "abort-write": 1 } },
    by: "errors",
  },
  {
    name: "a call of another tab is not answered",
    patches: [patch(SYNCER, '      else this.#tabs.post({ kind: "answered", call, problem });\n', "")],
    world: { tabs: 3, actions: 120 },
    by: "calls",
  },
  {
    name: "calls that wait in a tab that was deposed are forgotten",
    patches: [patch(SYNCER, "      waiting.isHeard = false;\n      this.#callLeader(call);\n", "")],
    world: { devices: 2, tabs: 3, actions: 240, faults: { "freeze-tab": 5, delay: 3 } },
    by: "calls",
  },
  {
    name: "a sync that failed in the leading tab resolves in the tab that called it",
    patches: [patch(SYNCER, 'kind: "answered", call, problem }', 'kind: "answered", call, problem: null }')],
    world: { tabs: 3, actions: 120, faults: { offline: 1, "lose-request": 1 } },
    by: "5 convergence",
  },
  {
    name: "the other tabs are not told what the leader has written",
    patches: [patch(SYNCER, "          this.changed();\n", "")],
    world: { tabs: 3, devices: 2 },
    by: "convergence in time",
  },
  {
    name: "a new tab does not learn the leader's connection",
    patches: [patch(SYNCER, '        this.#lastSent = "";\n', "")],
    world: { tabs: 3, faults: { "close-tab": 1 } },
    by: "convergence in time",
  },
  {
    name: "a tab does not read its conflicts again when a page has parked a commit",
    patches: [patch(OVERVIEW, "    if (isParkedChanged) void this.refreshQuietly();\n", "")],
    world: { tabs: 1, rule: "park", streams: 1, devices: 3 },
    by: "shown",
  },
  {
    name: "a tab does not read its conflicts again when it has resolved one",
    patches: [patch(PARTS, "    await this.overview.refresh();\n    this.#syncer?.appended();\n", "    this.#syncer?.appended();\n")],
    world: { tabs: 1, rule: "park", streams: 1, devices: 3 },
    by: "shown",
  },
  {
    name: "what a tab has written does not wake what follows its store",
    patches: [patch(OVERVIEW, "board.current;\n    this.#notify();\n", "board.current;\n")],
    world: { tabs: 1 },
    by: "convergence in time",
  },
  {
    name: "a request without an answer is waited for a thousand times too long",
    patches: [patch(EDGE_CALL, "milliseconds.`, true), boundedWait(limit));", "milliseconds.`, true), boundedWait(limit * 1000));")],
    world: { faults: { "lose-answer": 1, "lose-request": 1 } },
    by: "convergence in time",
  },
  {
    name: "a session keeps the first token that it got",
    patches: [
      patch(EDGE_CALL, "const limit = timeLimit(timeout);", "const limit = timeLimit(timeout);\n  let known: string | undefined;"),
      patch(EDGE_CALL, "const bearer = await token?.();", "known ??= await token?.();\n      const bearer = known;"),
      patch(EDGE_CALL, "const renewed = await token?.();", "const renewed = known;"),
    ],
    world: { faults: { "expire-token": 1 } },
    by: "convergence in time",
  },
  {
    name: "a feed socket that is closed counts as open",
    patches: [
      patch(SOCKET, "    this.#listener.isConnected = false;\n", ""),
      patch(SOCKET, "    this.#again(wasConnected);\n", "    if (!wasConnected) this.#again();\n"),
    ],
    world: { isLive: true, pollEvery: 60_000, faults: { offline: 1, evict: 1, "expire-token": 1 } },
    by: "convergence in time",
  },
];
