/** Invariant 8: a recorded event never changes. */
import { isDeepStrictEqual } from "node:util";
import type { EventBody, RecordedEvent } from "../../../shared/event/event.ts";
import { Checker } from "./checker.ts";
import { Lives } from "./lives.ts";
import type { Observation, SeenConflict } from "./observation.ts";

interface Recorded {
  readonly version: number;
  readonly position: number | null;
  readonly recordedAt: string | null;
}

export class ImmutableChecker extends Checker {
  readonly name = "8 immutable";
  readonly #lives = new Lives();
  readonly #stores = new Map<string, string>();
  /**
   * What an event says, as it was first seen; the second is a later object that says the same. What is pending is a device's own: by
   * the same id the edge may hold another event, and will refuse this one.
   */
  readonly #bodies = new Map<string, Map<string, [EventBody, EventBody]>>();
  /** What was added when it was recorded: by a device until it resets, by a store until something is put in its place. */
  readonly #recorded = new Map<string, Map<string, Recorded>>();

  see(observation: Observation, now: number): void {
    this.#lives.see(observation, now);
    switch (observation.kind) {
      case "opened":
        this.#stores.set(observation.device, observation.store);
        return;
      case "stream":
        for (const event of observation.events) {
          const where = event.isPending ? `${observation.device}?` : this.#replicaOf(observation.device);
          this.#compareBody(where, observation.streamId, event.body);
          if (!event.isPending) this.#compareRecord(observation.device, observation.streamId, event.body.id, event);
        }
        return;
      case "page":
        for (const event of observation.page.events) this.#compareAtEdge(observation.store, event, observation.sentAt);
        return;
      case "edge-stream":
        for (const event of observation.events) this.#compareAtEdge(observation.store, event, observation.sentAt);
        return;
      case "replaced":
        this.#recorded.delete(observation.store);
        return;
      case "reset":
        this.#recorded.delete(observation.device);
        for (const key of [`${observation.device}?`, observation.device]) this.#bodies.delete(key);
        return;
      case "ruled":
        if (observation.isDiscarded || observation.isReplaced) this.#letGo(observation.device, observation);
        return;
      case "resolved":
        if (observation.how === "discard") this.#letGo(observation.device, observation.conflict);
        return;
      case "crashed":
        // What a crash takes comes again; it may come from another history, after a reset that nobody has been told of.
        this.#recorded.delete(observation.device);
        return;
      default:
    }
  }

  /** Where an operator has put an older copy back, devices may still show what it has taken away; otherwise there is one history. */
  #replicaOf(device: string): string {
    const store = this.#stores.get(device) ?? "";
    return this.#lives.of(store).length === 1 ? store : device;
  }

  /** Nothing on the device tells of what was pending and is let go of. By the same ids an app may append other events, which is its mistake. */
  #letGo(device: string, { streamId, events }: Pick<SeenConflict, "streamId" | "events">): void {
    for (const { id } of events) this.#bodies.get(`${device}?`)?.delete(`${streamId} ${id}`);
  }

  #compareAtEdge(store: string, event: RecordedEvent, sentAt: number): void {
    if (!this.#lives.isOfNow(store, sentAt)) return;
    const lives = this.#lives.of(store).length;
    this.#compareBody(lives === 1 ? store : `${store} ${lives}`, event.streamId, event);
    this.#compareRecord(store, event.streamId, event.id, event);
  }

  #compareBody(where: string, streamId: string, body: EventBody): void {
    const bodies = this.#bodies.get(where) ?? new Map<string, [EventBody, EventBody]>();
    this.#bodies.set(where, bodies);
    const key = `${streamId} ${body.id}`;
    const known = bodies.get(key);
    this.checked++;
    if (known === undefined) bodies.set(key, [body, body]);
    else if (known[0] !== body && known[1] !== body) {
      const isSame = isDeepStrictEqual(contentOf(known[0]), contentOf(body));
      this.demand(isSame, () => `${where}: ${key} was ${JSON.stringify(known[0])} and is ${JSON.stringify(body)}`);
      known[1] = body;
    }
  }

  #compareRecord(where: string, streamId: string, id: string, { version, position, recordedAt }: Recorded): void {
    const records = this.#recorded.get(where) ?? new Map<string, Recorded>();
    this.#recorded.set(where, records);
    const key = `${streamId} ${id}`;
    const known = records.get(key);
    const isSame =
      known === undefined ||
      (known.version === version &&
        known.recordedAt === recordedAt &&
        (known.position === position || known.position === null || position === null));
    this.demand(isSame, () => `${where}: ${key} was at @${known?.version} #${known?.position} and is at @${version} #${position}`);
    records.set(key, { version, position: position ?? known?.position ?? null, recordedAt });
  }
}

/** What never changes. The product's own comparison is not asked: it may be what is wrong. */
function contentOf({ type, schemaVersion, data, metadata, occurredAt }: EventBody): readonly unknown[] {
  return [type, schemaVersion, data, metadata, occurredAt];
}
