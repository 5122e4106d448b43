/** A reader whose grants name some streams of a store: it sees these, each event of them, and nothing else. */
import type { ConfirmedEvent } from "../../../shared/event/event.ts";
import type { Script } from "../script.ts";
import { signGrants } from "../token.ts";
import { all, certainly, compare, errorOf, type HabitParts } from "./habit.ts";

const PATTERNS = [["Permit-1"], ["Permit-1", "Ticket*"], ["Permit-1", "Permit-3"], ["Permit*", "Permit-2", "S*"], ["Ticket-9"], ["*"]];

export async function readPartly(parts: HabitParts, script: Script, store: string, events: readonly ConfirmedEvent[]): Promise<void> {
  const { random } = parts.ground;
  const { client } = script;
  const streams = random.pick(PATTERNS);
  const token = signGrants("partly", Number.POSITIVE_INFINITY, [{ store, streams, can: ["read", "fly"] }]);
  const edge = client.connectStore({ url: `http://edge/v1/${store}`, token: () => token, retries: 2 });
  const isIn = (id: string) => streams.some((pattern) => (pattern.endsWith("*") ? id.startsWith(pattern.slice(0, -1)) : id === pattern));
  const seen = events.filter(({ streamId }) => isIn(streamId));
  const read = await certainly(client, script, () => all(edge.readAll()));
  compare(parts, `the feed for ${streams}`, read, seen);
  const within = await certainly(client, script, () => all(edge.readAll({ category: "Permit", stream: ["Permit-1", "Permit-2", "Note"] })));
  compare(
    parts,
    `two permits for ${streams}`,
    within,
    seen.filter(({ streamId }) => streamId === "Permit-1" || streamId === "Permit-2"),
  );
  const ids = [...new Set(seen.map(({ streamId }) => streamId))].sort();
  const list = await certainly(client, script, () => edge.listStreams());
  compare(
    parts,
    `the list for ${streams}`,
    list.streams.map(({ streamId }) => streamId),
    ids,
  );
  const category = await certainly(client, script, () => edge.listStreams({ category: "Permit" }));
  compare(
    parts,
    `the list of permits for ${streams}`,
    category.streams.map(({ streamId }) => streamId),
    ids.filter((id) => id.startsWith("Permit-")),
  );
  const health = await errorOf(client, () => certainly(client, script, () => edge.health()));
  compare(parts, `the health for ${streams}`, health?.code, streams.includes("*") ? undefined : "forbidden");
  if (events.length > 0) await readTimes(parts, store, events);
}

/** Filters that only the interface over HTTP has. */
async function readTimes(parts: HabitParts, store: string, events: readonly ConfirmedEvent[]): Promise<void> {
  const [first, last] = [parts.ground.random.pick(events).recordedAt, parts.ground.random.pick(events).recordedAt].sort();
  if (first === undefined || last === undefined) return;
  const token = signGrants("partly", Number.POSITIVE_INFINITY, [{ store: "*", streams: ["*"], can: ["read"] }]);
  const headers = { authorization: `Bearer ${token}` };
  const url = `http://edge/v1/${store}/feed?since=${first}&until=${last}`;
  const response = await parts.edge.direct(new Request(url, { headers }));
  compare(parts, "the status of a feed between two times", response.status, 200);
  if (!response.ok) return;
  const page = (await response.json()) as { readonly events: readonly ConfirmedEvent[] }; // a page of the feed
  const isThen = ({ recordedAt }: ConfirmedEvent) => (recordedAt ?? "") >= first && (recordedAt ?? "") <= last;
  compare(parts, `what was recorded from ${first} to ${last}`, page.events, events.filter(isThen));
}
