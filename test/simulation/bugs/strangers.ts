/** Bugs in how answers of strangers are taken: `shared/wire/answer.ts`, and what the device makes of them. */
import { type Bug, patch } from "./bug.ts";

const ANSWER = "shared/wire/answer.ts";
const SOCKET = "client/edge/feed-socket.ts";
const SYNC = "shared/device/sync.ts";
const TAIL = "client/edge/tail.ts";

/** A device behind a wall, and nothing else that goes wrong. */
const WALLED = { minutes: 0.5, devices: 1, tabs: 1, actions: 1, habits: ["walled"], faults: {} } as const;

/** A script alone. */
const SCRIPTED = { minutes: 0.5, devices: 1, tabs: 1, actions: 1, habits: ["script"], faults: {} } as const;

export const STRANGERS: readonly Bug[] = [
  {
    name: "the edge's answer at the end of a redirect counts, although it is to another request",
    patches: [patch(ANSWER, "if (leadsTo !== undefined) return", "if (leadsTo !== undefined && isOk(received)) return")],
    world: { tabs: 1, faults: { redirect: 1 } },
    by: "6 conservation",
  },
  {
    name: "a stranger's status judges what was sent",
    patches: [
      patch(
        ANSWER,
        'return { kind: "stranger", error: new UnavailableError(message, retryAfter === undefined ? {} : { retryAfter }), mayBeTooMuch };',
        'return { kind: mayBeTooMuch ? "problem" : "stranger", error: mayBeTooMuch ? errorOf("invalid-request", message) : new UnavailableError(message), mayBeTooMuch } as Unheard;',
      ),
      patch(ANSWER, "import { type HeadwaterError, UnavailableError }", "import { errorOf, type HeadwaterError, UnavailableError }"),
    ],
    world: { tabs: 1, faults: { stranger: 1 } },
    by: "6 conservation",
  },
  {
    name: "a stranger's 401 counts as the edge's",
    patches: [
      patch(
        ANSWER,
        '  if (text === undefined) return stranger(received, "The answer broke off.", true);',
        '  if (status === 401) return { kind: "problem", error: errorOf("unauthenticated", undefined) };\n  if (text === undefined) return stranger(received, "The answer broke off.", true);',
      ),
      patch(ANSWER, "import { type HeadwaterError, UnavailableError }", "import { errorOf, type HeadwaterError, UnavailableError }"),
    ],
    world: WALLED,
    by: "convergence in time",
  },
  {
    name: "an error of another API counts as the edge's, if it has a code that the edge has too",
    patches: [patch(ANSWER, 'isObject(value) && value["status"] === status', "isObject(value)")],
    world: { tabs: 1, faults: { stranger: 1 } },
    by: "6 conservation",
  },
  {
    name: "a commit that does not get through is parked",
    patches: [
      patch(
        SYNC,
        '  if (failure.kind !== "problem" || remedy === "retry") return onStrike(step, batch, first, failure);',
        '  const isLast = failure.kind === "stranger" && isTooMuch(failure) && batch.length === 1;\n  if (!isLast && (failure.kind !== "problem" || remedy === "retry")) return onStrike(step, batch, first, failure);',
      ),
    ],
    world: WALLED,
    by: "convergence in time",
  },
  {
    name: "a stream whose commit does not get through holds up the others",
    patches: [patch(SYNC, "state.deferred = new Set([...state.deferred, first.streamId]);", "")],
    world: WALLED,
    by: "convergence in time",
  },
  {
    name: "a page that does not get through is requested as large as before",
    patches: [patch(SYNC, "  if (isTooMuch(failure)) state.pageEvents = Math.ceil(state.pageEvents / 2);\n", "")],
    world: WALLED,
    by: "convergence in time",
  },
  {
    name: "a push that does not get through is sent as large as before",
    patches: [
      patch(SYNC, "  step.state.pushCommits = Math.ceil(batch.length / 2);\n", ""),
      patch(SYNC, "    if (isTooOften || isTooMuch(failure)) state.pushCommits = Math.ceil(batch.length / 2);\n", ""),
    ],
    world: WALLED,
    by: "convergence in time",
  },
  {
    name: "the status forgets what is wrong while it is tried again",
    patches: [
      patch(
        SYNC,
        "  const batch = items.map(({ entry }) => entry);\n",
        "  const batch = items.map(({ entry }) => entry);\n  setProblem(step, { push: null, deferred: null });\n",
      ),
    ],
    world: WALLED,
    by: "readings",
  },
  {
    name: "nobody is told that the feed socket can't be opened",
    patches: [patch(SOCKET, "    if (this.#failures < FAILURES) return;\n    this.#mayBeReported", "    return;\n    this.#mayBeReported")],
    world: WALLED,
    by: "convergence in time",
  },
  {
    name: "the status goes on about the feed socket when it works again",
    patches: [patch(SOCKET, "    this.#listener.onSocket(null);\n", "")],
    world: WALLED,
    by: "convergence in time",
  },
  {
    name: "a tail waits for server-sent events that a proxy holds back",
    patches: [patch(TAIL, "pagesUntil = now + PAGES_FOR;", "pagesUntil = 0;")],
    world: SCRIPTED,
    by: "convergence in time",
  },
  {
    name: "a tail by pages yields the last event of a page twice",
    patches: [
      patch(TAIL, "      place.position = event.position;\n      yield event;", "      yield event;"),
      patch(TAIL, "    place.position = position;\n", "    place.position = Math.max(place.position, position - 1);\n"),
    ],
    world: { faults: { "hold-stream": 1 } },
    by: "2 dense",
  },
];
