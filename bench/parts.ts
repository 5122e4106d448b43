/** The parts of the bench, in the order in which they run and in which the page shows them. */

import type { BrowserSession } from "./browser/engines.ts";
import { measureCommands } from "./commands.ts";
import { measureDevice } from "./device.ts";
import { measureDigests } from "./digests.ts";
import { measureEdge } from "./edge.ts";
import { measureGrowthOnDevice } from "./growth-device.ts";
import { measureGrowthAtEdge } from "./growth-edge.ts";
import { measureLarge } from "./large.ts";
import { measureLive } from "./live.ts";
import { measureMemory } from "./memory.ts";
import { measureModel, measurePages } from "./model.ts";
import type { Scale } from "./options.ts";
import { measureOutboxes } from "./outboxes.ts";
import { measureRowsWithPending } from "./pending-rows.ts";
import { measureBesideReaders } from "./readers.ts";
import type { Result } from "./results.ts";
import { countRows } from "./rows.ts";
import { measureSync } from "./sync.ts";

interface Described {
  readonly name: string;
  readonly heading: string;
  /** What is measured, in plain words, for somebody who has not read the code. */
  readonly words: string;
}

/** A part that runs in browsers. */
interface EnginePart extends Described {
  /** Which engines it runs in, if the command names none. */
  readonly engines: "all" | "first";
  measureIn(session: BrowserSession, scale: Scale, say: (line: string) => void): Promise<readonly Result[]>;
}

/** A part that needs no browser, or starts its own. */
interface PlainPart extends Described {
  measure(scale: Scale, say: (line: string) => void): Promise<readonly Result[]>;
}

export type Part = EnginePart | PlainPart;

export const PARTS: readonly Part[] = [
  {
    name: "device",
    heading: "Events on a device",
    words: `Each side does the same jobs in a browser, with the same events. Headwater is used by its public interface: as a synced store that is
offline, so that all it records is pending, and as a local store; each with the durability \`strict\`, its default, and \`relaxed\`. Beside it,
IndexedDB is used by \`idb\` without a library of events, in two shapes: a record for each event with an index on the position, and a record
for all events of one write, a hundred at most. Dexie, PouchDB, RxDB and SQLite are used as their documentation shows, with the durability that
they have by default: that of IndexedDB in these browsers is relaxed, and SQLite's is not. So compare Headwater's \`strict\` with SQLite and
with \`idb\` strict, and its \`relaxed\` with the others. Headwater checks each event, its stream's version and its size; \`idb\` checks
nothing. RxDB keeps the results of a query in memory: its second pass reads nothing. A replay gives events in the order of their positions,
which pending events don't have yet.`,
    engines: "all",
    measureIn: measureDevice,
  },
  {
    name: "large",
    heading: "A large database",
    words: `Each side has an origin of its own with 100,000 events: those of the permits again and again, under other streams' names. The size is
what the browser counts for the origin right after it was filled, for SQLite the size of its file, and in WebKit, which does not count, what
the browser's folder has grown by. Then the browser is started again for
each round, and opens the databases one after the other, each until a first stream is read. The operating system has the files in memory.
"Headwater, synced" is a store whose events came from the feed; "Headwater, local" is one that recorded them itself.`,
    engines: "all",
    measureIn: measureLarge,
  },
  {
    name: "sync",
    heading: "A first sync, and reads of what is synced",
    words: `The edge runs on this machine and holds a file's events. A new device fetches, checks and stores all of them. Beside it, the same pages
are fetched by \`fetch\` and parsed; and written, besides, as a record for each page and as a record for each event. Then streams are read, one
after the other: of confirmed events, of pending ones, and of confirmed events with a pending one behind. Then all is replayed, right after the
store was opened and once more.`,
    engines: "all",
    measureIn: measureSync,
  },
  {
    name: "live",
    heading: "From device to device",
    words: `Two devices are a store in a page and one in a frame of another site: they have one clock, and, where the browser isolates sites, a
thread each. The edge runs on this machine: there is no network between them. One appends an event, the other one hears of it by its feed
socket and reads it; then comes the next event. The legs follow each other, and the rows that begin with "all" are sums from the append on.
The baseline is an echo on a WebSocket by an object that does nothing else.`,
    engines: "all",
    measureIn: measureLive,
  },
  {
    name: "growth-device",
    heading: "Growth on a device",
    words: `Operations on stores of several sizes, in turn. The events come from a feed in the page, so that there is neither an edge nor a
network in these times. Each point is the median of 20 repetitions, and the lines about it go from the first quartile to the third. Writes add
some commits to what is pending, up to 60.`,
    engines: "first",
    measureIn: measureGrowthOnDevice,
  },
  {
    name: "model",
    heading: "Folds, projections and live values",
    words: `Deciders and projections on a device, beside plain folds of the same events in memory, and the time until a change is seen.`,
    engines: "first",
    measureIn: measureModel,
  },
  {
    name: "pending",
    heading: "Rows with much pending",
    words: `A command on a stream, with a live list of 20 rows, and a query of 5 rows, on devices with nothing pending and with thousands of commits that
are. Each number of pending commits has a store of its own, and the stores take turns.`,
    engines: "first",
    measureIn: measureRowsWithPending,
  },
  {
    name: "pages",
    heading: "A page of the feed on a device",
    words: `How long a device takes to check pages of 1,000 events, beside writing them. A sync does one after the other.`,
    engines: "first",
    measureIn: measurePages,
  },
  {
    name: "outbox",
    heading: "A long outbox",
    words: `A device has worked offline for long, and syncs. Beside it, the command line imports events to the same edge.`,
    measure: measureOutboxes,
  },
  {
    name: "edge",
    heading: "The edge",
    words: `HTTP requests from Node to workerd, the runtime of Cloudflare's Workers, on this machine. Appends stand beside an object that only
inserts a request's body as a row, and beside a Worker that answers at once and stores nothing. A page of the feed stands beside a file of the
same bytes. On Cloudflare's machines, storage and distances are others: only the comparison carries over.`,
    measure: measureEdge,
  },
  {
    name: "growth-edge",
    heading: "Growth at the edge",
    words: `Requests to stores of several sizes, in turn, over HTTP. Each point is the median of 20 repetitions, or of seven where the object has just
woken, and the lines about it go from the first quartile to the third. The objects' storage is in memory if \`TMPDIR\` is.`,
    measure: measureGrowthAtEdge,
  },
  {
    name: "commands",
    heading: "Commands that the edge decides",
    words: `Commands that a decider at the edge decides, beside appends without one, to streams of 1,000 events: awake, and woken by the request.`,
    measure: measureCommands,
  },
  {
    name: "readers",
    heading: "Writers beside readers",
    words: `The time of an append while others read, beside the same alone, in turn.`,
    measure: measureBesideReaders,
  },
  {
    name: "digests",
    heading: "What digests cost",
    words: `The edge beside the same edge with a digest that is a constant.`,
    measure: measureDigests,
  },
  {
    name: "rows",
    heading: "Rows written",
    words: `What Cloudflare bills a commit for. The page [cost.md](cost.md) has more.`,
    measure: countRows,
  },
  {
    name: "memory",
    heading: "Memory of the command line",
    words: `The peak of what the process had in memory, with a small heap. It should not depend on the size of the file.`,
    measure: measureMemory,
  },
];
