/** Bugs in `worker/`: streams, the log, the feed, access, and calls between objects. */
import { type Bug, patch } from "./bug.ts";
import { SUBSCRIBED } from "./edge-subscriptions.ts";

const GRANTS = "shared/edge/grants.ts";
const IN_FLIGHT = "worker/objects/in-flight.ts";
const APPEND_ONE = "worker/objects/append-one.ts";
const APPENDING = "worker/stream/appending.ts";
const EDGE = "worker/routes/edge.ts";
const FEED_FILTER = "shared/feed-filter.ts";
const FEED_PAGE = "worker/log/feed-page.ts";
const LOG_RUNS = "worker/log/log-runs.ts";
const NOTIFIER = "worker/log/notifier.ts";
const PUBLICATION = "shared/edge/publication.ts";
const PUBLISHER = "worker/stream/publisher.ts";
const PUSH = "worker/routes/push.ts";
const QUERY = "worker/routes/query.ts";
const RUN_TEXT = "worker/objects/run-text.ts";
const ALARM_DELAY = "worker/objects/alarm-delay.ts";
const SHARED_ALARM = "worker/objects/shared-alarm.ts";
const SOCKETS = "worker/log/feed-sockets.ts";
const STREAM = "worker/stream/stream-object.ts";
const SUBSCRIPTION_ROUTES = "worker/routes/subscription-routes.ts";

export const EDGE_BUGS: readonly Bug[] = [
  {
    name: "a stream publishes its last event first",
    patches: [
      patch(PUBLISHER, "this.#runs.from(this.#published + 1)", "this.#runs.from(this.#runs.version)"),
      patch(PUBLICATION, '{ kind: "gap", head };', '{ kind: "take", from: run.firstVersion };'),
    ],
    by: "4 feed order",
  },
  {
    name: "the edge forgets to look for known ids",
    patches: [
      patch(APPENDING, "if (event !== undefined) recorded.set", "if (event !== undefined && version > this.#host.version) recorded.set"),
    ],
    by: "3 unique ids",
  },
  {
    name: "the edge takes what was made on another version",
    patches: [
      patch(
        APPENDING,
        "recorded: this.#recorded(events) }, commit);",
        'recorded: this.#recorded(events) }, { ...commit, expectedVersion: "any" });',
      ),
    ],
    by: "6 conservation",
  },
  {
    name: "publishing twice gives two positions",
    patches: [
      patch(PUBLICATION, '{ kind: "duplicate" };\n  if', '{ kind: "take", from: run.firstVersion };\n  if'),
      patch(LOG_RUNS, "CREATE UNIQUE INDEX", "CREATE INDEX"),
    ],
    by: "4 feed order",
  },
  {
    name: "a position is given before the event is there, and one is never filled",
    patches: [
      patch(
        LOG_RUNS,
        "const firstPosition = this.#head + 1;",
        "if (this.#head % 5 === 4) this.#head++;\n    const firstPosition = this.#head + 1;",
      ),
    ],
    by: "errors",
  },
  {
    name: "an alarm that finds the log out of reach is the last one",
    patches: [patch(PUBLISHER, "#armed) return;\n    this.arm(alarmDelay(++this.#failures));", "#armed) return;\n    this.#failures++;")],
    world: { faults: { "log-outage": 1 } },
    by: "convergence in time",
  },
  {
    name: "a token is good after its end",
    patches: [
      patch(
        EDGE,
        "const app = new Hono<Bindings<E>>();",
        "const app = new Hono<Bindings<E>>();\n  const known = new Map<string, Principal>();",
      ),
      patch(
        EDGE,
        "const principal = assertKnown(await authenticate(request, context.env));",
        `const token = request.headers.get("authorization") ?? "";
    const principal = known.get(token) ?? assertKnown(await authenticate(request, context.env));
    known.set(token, principal);`,
      ),
    ],
    by: "9 tenancy",
  },
  {
    name: "the streams of two stores share their objects",
    patches: [
      patch(EDGE, "() => context.env.STREAMS.getByName(name)", "() => context.env.STREAMS.getByName(streamId)"),
      patch(APPEND_ONE, "() => env.STREAMS.getByName(name)", "() => env.STREAMS.getByName(commit.streamId)"),
      patch(PUSH, `env.STREAMS.getByName(\`\${store}/\${part.streamId}\`)`, "env.STREAMS.getByName(part.streamId)"),
    ],
    world: { hasTenant: true },
    by: "9 tenancy",
  },
  {
    name: "the time of recording is the time of reading",
    patches: [
      patch(
        RUN_TEXT,
        "content.slice(1)",
        "JSON.stringify({ ...parseContent(content), recordedAt: new Date().toISOString() }).slice(1, -1)",
      ),
    ],
    by: "8 immutable",
  },

  // Since the simulation runs the product itself.

  {
    name: "the log takes a run after a gap",
    patches: [patch(PUBLICATION, '{ kind: "gap", head };', '{ kind: "take", from: run.firstVersion };')],
    world: { actions: 120, faults: { evict: 1, "log-outage": 1, "lose-call": 1 } },
    by: "4 feed order",
  },
  {
    name: "a commit does not arm the alarm of its stream",
    patches: [patch(STREAM, "if (runs.length > 0) this.#publisher.arm();", "")],
    world: { actions: 120, faults: { "log-outage": 1, "crash-worker": 1, evict: 1 } },
    by: "convergence in time",
  },
  {
    name: "an alarm that wakes its stream takes everything for published",
    patches: [patch(PUBLISHER, "    if (!this.#certain) this.#doubt();\n", "")],
    world: { actions: 60, faults: { "log-outage": 1, evict: 1, "crash-worker": 1 } },
    by: "convergence in time",
  },
  {
    name: "a stream keeps its first stub of the log",
    patches: [
      patch(
        PUBLISHER,
        "#running: Promise<void> | undefined;",
        "#running: Promise<void> | undefined;\n  #log: DurableObjectStub<LogObject> | undefined;",
      ),
      patch(PUBLISHER, "return this.#env.LOGS.getByName(store);", "this.#log ??= this.#env.LOGS.getByName(store);\n    return this.#log;"),
    ],
    world: { actions: 120, faults: { "lose-call": 1 } },
    by: "convergence in time",
  },
  {
    name: "commits after a rejected one are taken",
    patches: [patch(APPENDING, 'includes(result.status)) this.#broken = "other";', "includes(result.status)) this.#broken = undefined;")],
    world: { streams: 1, devices: 3, actions: 120 },
    by: "6 conservation",
  },
  {
    name: "every commit of a stream gets the answer to its first one",
    patches: [patch(PUSH, "results[place] = taken[at];", "results[place] = taken[0];")],
    world: { streams: 1, actions: 120 },
    by: "6 conservation",
  },
  {
    name: "the streams of a push get each other's answers",
    patches: [patch(IN_FLIGHT, "outcomes[at] = { value: await work(item) };", "outcomes.push({ value: await work(item) });")],
    world: { streams: 6, pushStreams: 4, actions: 120 },
    by: "6 conservation",
  },
  {
    name: "a page that skips events does not get past them",
    patches: [patch(FEED_PAGE, "    this.position = end;\n    this.spend(1);\n", "    this.spend(1);\n")],
    world: { scope: "part", streams: 6 },
    by: "convergence in time",
  },
  {
    name: "a page passes the rest of a run that did not fit",
    patches: [
      patch(
        FEED_PAGE,
        "      this.#size += content.length;\n    }\n",
        "      this.#size += content.length;\n    }\n    this.position = row.last_position;\n",
      ),
    ],
    world: { pageEvents: 2, actions: 120 },
    by: "2 dense",
  },
  {
    name: "a socket stays open after the end of its token",
    patches: [
      patch(SOCKETS, '      else this.#close(socket, POLICY, new UnauthenticatedError("The token has expired: get a new one."));\n', ""),
      patch(SOCKETS, " || (expiresAt !== null && expiresAt <= time);", ";"),
    ],
    world: { isLive: true, actions: 120, faults: { "expire-token": 1 } },
    by: "9 tenancy",
  },
  {
    name: "only the first socket is closed at the end of its token",
    patches: [
      patch(SOCKETS, "    this.#armExpiry(Number.isFinite(next) ? next : null);\n", ""),
      patch(SOCKETS, " || (expiresAt !== null && expiresAt <= time);", ";"),
    ],
    world: { isLive: true, devices: 4, actions: 120, faults: { "expire-token": 1 } },
    by: "9 tenancy",
  },
  {
    name: "a socket is not told of what is published",
    patches: [patch(SOCKETS, "      await answer(one);\n", "      if (found.size > 0) await answer(one);\n")],
    world: { isLive: true, pollEvery: 60_000, actions: 60 },
    by: "convergence in time",
  },
  {
    name: "a feed between two times leaves out what was recorded at the second",
    patches: [patch(FEED_FILTER, "<= until)", "< until)")],
    world: { habits: ["script"], minutes: 1, actions: 60 },
    by: "readings",
  },
  {
    name: "a grant of one store opens another",
    patches: [patch(GRANTS, '(given.store === "*" || given.store === store) && ', "")],
    world: { hasTenant: true },
    by: "9 tenancy",
  },
  {
    name: "the edge does not compare the mark of a page's request",
    patches: [patch(QUERY, '    ...present("mark", single(parameters, "mark")),\n', "")],
    world: { actions: 120, faults: { "restore-store": 1, delay: 0.5 } },
    by: "convergence in time",
  },
  {
    name: "an alarm that went off is taken for one that is to come",
    // A lost alarm is set again after a while: the second patch takes that away.
    patches: [
      patch(SHARED_ALARM, "wentOff(): void {\n    this.#at = null;\n", "wentOff(): void {\n"),
      patch(ALARM_DELAY, "return at < now - LATEST;", "return now < 0 && at < LATEST;"),
    ],
    world: { minutes: 0.5, actions: 12, edgeSubscription: SUBSCRIBED, faults: { "lose-call": 3 } },
    by: "7 edge subscription",
  },
  {
    name: "an alarm is not set to an earlier time",
    patches: [patch(SHARED_ALARM, "this.#at !== null && this.#at <= at", "this.#at !== null")],
    world: { minutes: 0.5, actions: 12, edgeSubscription: SUBSCRIBED, isLive: true, faults: { "lose-call": 3, "log-outage": 1 } },
    by: "7 edge subscription",
  },
  {
    name: "the subscriptions of two stores share their objects",
    patches: [
      patch(NOTIFIER, `getByName(\`\${store}/\${name}\`)`, "getByName(name)"),
      patch(SUBSCRIPTION_ROUTES, `getByName(\`\${store}/\${name}\`)`, "getByName(name)"),
    ],
    world: { edgeSubscription: SUBSCRIBED, hasTenant: true },
    by: "convergence in time",
  },
  {
    name: "an outline leaves out the first event of each row",
    patches: [patch(FEED_PAGE, "of lines) outliner.add(", "of lines.slice(1)) outliner.add(")],
    world: { scope: "part", streams: 6, edgeSubscription: SUBSCRIBED },
    by: "readings",
  },
];
