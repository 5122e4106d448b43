/** What is not in step yet, and why, after a world has healed and everything should be. */

import type { PendingEntry } from "../../shared/device/outbox.ts";
import { isWithin } from "../../shared/device/replica.ts";
import type { Device } from "./device.ts";
import type { EdgeStore } from "./edge.ts";
import { poisonOf } from "./poison.ts";
import type { World } from "./world.ts";

export function unsettled(world: World): readonly string[] {
  return [...world.edge.stores.flatMap((store) => atEdge(world, store)), ...world.users.flatMap((user) => onDevice(world, user.device))];
}

function atEdge({ edge }: World, store: EdgeStore): readonly string[] {
  const unpublished = edge.unpublished(store);
  const left = unpublished.map(({ streamId, version, head }) => `${store.id}: the log has ${streamId} up to @${head} of @${version}`);
  const { subscribed } = store;
  return subscribed === undefined ? left : [...left, ...subscribed.unsettled().map((line) => `${store.id}: the subscription ${line}`)];
}

function onDevice(world: World, device: Device): readonly string[] {
  const { edge, users } = world;
  const { data } = edge.store(device.store);
  const replica = device.content.get("replica");
  const left: string[] = [];
  const connection = users.find((user) => user.device === device)?.leaderTab?.leader?.connection ?? "without a leader";
  for (const { within, position, upTo } of replica.backfills)
    left.push(`fills ${within?.join(" ") ?? "everything"} from #${position} to #${upTo}`);
  const head = data.events.at(-1)?.position ?? 0;
  if (replica.position !== head) left.push(`has applied the feed up to #${replica.position} of #${head}`);
  const expected = data.events.filter(({ streamId }) => isWithin(replica.scope, streamId));
  const held = device.content.get("log").filter(({ streamId }) => isWithin(replica.scope, streamId));
  const other = expected.findIndex(({ id }, i) => held[i]?.id !== id);
  if (other >= 0 || held.length !== expected.length)
    left.push(`holds ${held.length} events of ${expected.length}, of which #${other + 1} is the first to differ`);
  const { position } = device.content.get("checkpoint");
  if (replica.scope === null && world.params.scope === "all" && position !== head)
    left.push(`has its consumer at #${position} of #${head}`);
  left.push(...device.derived.unsettled());
  const stuck = new Set<string>();
  for (const entry of device.content.get("outbox")) {
    // The edge fails at this one for good, and what was made on top of it waits with it.
    if (poisonOf(entry.events) === "fails") stuck.add(entry.streamId);
    else if (!stuck.has(entry.streamId)) left.push(`has ${entryName(entry)} pending`);
  }
  if (connection !== "online" && stuck.size === 0) left.push("does not say that it is online");
  return left.map((line) => `${device.name} (${connection}) ${line}`);
}

function entryName({ streamId, firstVersion, events, seq }: PendingEntry): string {
  return `${streamId}@${firstVersion}? (${events.map(({ id }) => id).join(" ")}, place ${seq})`;
}
