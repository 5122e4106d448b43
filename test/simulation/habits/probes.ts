/** Somebody sends the edge requests of every form, right ones and wrong ones, and compares each answer with the one that it must get. */
import { Script } from "../script.ts";
import { compare, type Habit, type HabitParts, nowAndThen } from "./habit.ts";
import { type Probe, probesOf } from "./probe-list.ts";

/** Requests at once. */
const AT_ONCE = 4;
/** The part of all requests that is sent once more when the world has healed. */
const AT_LAST = 0.3;

/** Statuses of an edge that can't do just now what is asked of it. */
const BUSY: readonly number[] = [429, 500, 503];

export const probe: Habit = async (parts) => {
  const { ground, network, name } = parts;
  const loop = new Script(ground, name, network);
  const probes = probesOf(ground.params.edgeSubscription !== undefined);
  await nowAndThen(parts, loop, () => Promise.all(Array.from({ length: AT_ONCE }, () => send(parts, ground.random.pick(probes)))));
  for (const each of probes) if (ground.random.chance(AT_LAST)) await send(parts, each);
  await readDescription(parts);
};

async function send(parts: HabitParts, { what, path, init, vars, status, code, field }: Probe): Promise<void> {
  const { edge, ground } = parts;
  const response = await edge.direct(new Request(`http://edge${path}`, init), vars);
  const problem = response.status < 400 ? undefined : ((await response.json()) as Expected); // a problem document
  if (BUSY.includes(response.status) && response.status !== status && !ground.faults.isOver) return;
  const answered = { status: response.status, code: problem?.code, field: problem?.field };
  // A code may come with a field that says nothing more.
  compare(parts, what, { ...answered, field: field && answered.field, code: code && answered.code }, { status, code, field });
  const origin = new Headers(init?.headers).get("origin");
  const isSeen = response.status < 400 ? origin : null;
  if (origin !== null) compare(parts, `${what}, which sees the answer`, response.headers.get("access-control-allow-origin"), isSeen);
}

interface Expected {
  readonly code?: string;
  readonly field?: string;
}

/** Each route that the edge describes exists, and is closed to strangers. */
async function readDescription(parts: HabitParts): Promise<void> {
  const { edge } = parts;
  const response = await edge.direct(new Request("http://edge/openapi.json"));
  const { paths } = (await response.json()) as { readonly paths: Readonly<Record<string, object>> }; // an OpenAPI document
  for (const [path, operations] of Object.entries(paths)) {
    const url = `http://edge${path.replace("{store}", "probed").replace("{streamId}", "Permit-1").replace("{name}", "worker")}`;
    for (const method of Object.keys(operations).filter((key) => key === "get" || key === "post")) {
      const { status } = await edge.direct(new Request(url, { method: method.toUpperCase() }));
      compare(parts, `${method} ${path} without a token`, status, path.startsWith("/v1/") ? 401 : 200);
    }
  }
}
