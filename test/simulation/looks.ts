/** What the user of a device sees in one of its tabs, and reports to the checkers. */
import type { ConfirmedEvent, EventBody } from "../../shared/event/event.ts";
import type { SeenConflict, SeenEvent } from "./checkers/observation.ts";
import { keyOf } from "./identity.ts";
import type { Store, Tab } from "./tab.ts";

type StreamEvent = Awaited<ReturnType<Store["readStream"]>>["events"][number];

/** Everything that a device holds, from one moment. */
export interface Held {
  readonly confirmed: readonly ConfirmedEvent[];
  readonly pending: readonly { readonly streamId: string; readonly events: readonly EventBody[] }[];
  readonly parked: readonly SeenConflict[];
}

/** How often a look is tried again because the device wrote meanwhile. */
const TRIES = 6;

/** The events of one stream. Nothing is said of its conflicts. */
export async function lookAt(tab: Tab, streamId: string): Promise<void> {
  const events = await unlessTyped(tab, eventsOf(tab, streamId));
  if (events !== undefined) tab.ground.observe({ kind: "stream", device: tab.device.name, streamId, events, conflicts: undefined });
}

/** Everything, as of one moment. */
export async function lookAtAll(tab: Tab, streamIds: readonly string[]): Promise<Held | undefined> {
  const { device, ground } = tab;
  const seen = await atOneMoment(tab, async () => {
    const held = await heldBy(tab);
    return { held, streams: await Promise.all(streamIds.map(async (id) => [id, await eventsOf(tab, id)] as const)) };
  });
  if (seen === undefined) return undefined;
  const { held, streams } = seen;
  for (const [streamId, events] of streams) {
    const conflicts = held.parked.filter((conflict) => conflict.streamId === streamId);
    ground.observe({ kind: "stream", device: device.name, streamId, events, conflicts });
  }
  ground.observe({ kind: "all", device: device.name, events: held.confirmed });
  return held;
}

/** What `read` returns, if nothing was written on the device while it read. */
export async function atOneMoment<T>(tab: Tab, read: () => Promise<T>): Promise<T | undefined> {
  for (let i = 0; i < TRIES; i++) {
    const before = tab.device.disk.commits;
    const result = await unlessTyped(tab, read());
    if (result !== undefined && tab.device.disk.commits === before) return result;
    await tab.pause(tab.ground.random.between(5, 200));
  }
  tab.ground.count("looks given up");
  return undefined;
}

export async function heldBy({ store }: Tab): Promise<Held> {
  const confirmed: ConfirmedEvent[] = [];
  const pending: { streamId: string; events: readonly EventBody[] }[] = [];
  const parked: SeenConflict[] = [];
  if (store === undefined) return { confirmed, pending, parked };
  for await (const item of store.export()) {
    if (item.state === "confirmed") confirmed.push(item);
    // A commit that arrives page by page is pending as a whole, and confirmed in part.
    else if (item.state === "pending")
      pending.push({ ...item, events: item.events.filter(({ id }) => confirmed.every((event) => event.id !== id)) });
    else parked.push({ streamId: item.streamId, events: item.events, reason: item.reason ?? "", shown: shownOf(store, item.events) });
  }
  return { confirmed, pending, parked };
}

function shownOf(store: Store, [first]: readonly EventBody[]): SeenConflict["shown"] {
  const key = first === undefined ? "" : keyOf(first);
  return store.conflicts().find(({ events: [other] }) => other !== undefined && keyOf(other) === key);
}

export async function eventsOf({ store, client }: Tab, streamId: string): Promise<readonly SeenEvent[]> {
  if (store === undefined) return [];
  try {
    const { events } = await store.readStream(streamId);
    return events.map(seen);
  } catch (error) {
    if (error instanceof client.StreamNotFoundError) return [];
    throw error;
  }
}

function seen(event: StreamEvent): SeenEvent {
  const { version, position, recordedAt, pending } = event;
  return { body: event, version, position, recordedAt: recordedAt ?? null, isPending: pending };
}

/** What an app gets of a call: undefined for an error with a code. Any other error is not one that an app may get. */
export async function unlessTyped<T>(tab: Tab, call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof tab.client.HeadwaterError)) tab.uncaught(error);
    return undefined;
  }
}

/** Whether a device is behind the log, or can't send what is pending, and does not say that anything is wrong. @param due the last position */
export function isSilent({ connection, cursor, pending, problem }: Store["status"], due: number): boolean {
  const isBehind = (cursor?.position ?? 0) < due || pending > 0;
  return isBehind && problem === null && connection !== "diverged";
}

/** What a tab shows by itself, when all is quiet, beside what its store holds. */
export function showStatus({ name: tab, device: { name: device }, ground }: Tab, store: Store, held: Held): void {
  const { pending, conflicts, connection, lost } = store.status;
  const listed = store.conflicts().length;
  ground.observe({ kind: "lost", device, tab, lost });
  ground.observe({
    kind: "status",
    tab,
    shown: { pending, conflicts, listed, connection },
    held: { pending: held.pending.length, conflicts: held.parked.length },
  });
}
