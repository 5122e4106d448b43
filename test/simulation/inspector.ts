/**
 * The operator who looks at damaged storage, straight at the edge: whether whoever asks for what is damaged is told. What is read beside the
 * damage goes to the checkers.
 */
import type { RecordedEvent } from "../../shared/event/event.ts";
import { askAsOperator } from "./ask-edge.ts";
import type { Broken } from "./damage.ts";
import type { Edge } from "./edge.ts";
import { type Ground, timeAt } from "./ground.ts";
import { eventId } from "./identity.ts";

interface Answer {
  readonly code?: string;
  readonly version?: number;
  readonly position?: number;
  readonly events?: readonly RecordedEvent[];
  readonly damaged?: readonly { readonly first: number; readonly last: number }[];
  readonly diverged?: number;
}

export class Inspector {
  readonly #ground: Ground;
  readonly #edge: Edge;
  readonly #store: string;
  readonly #broken: Broken;
  #untold: readonly string[] = ["the operator has not asked yet"];

  constructor(ground: Ground, edge: Edge, store: string, broken: Broken) {
    this.#ground = ground;
    this.#edge = edge;
    this.#store = store;
    this.#broken = broken;
  }

  /** Who was not told when they were asked last. */
  get untold(): readonly string[] {
    return this.#untold;
  }

  async ask(): Promise<void> {
    this.#untold = await this.#asked();
  }

  async #asked(): Promise<readonly string[]> {
    switch (this.#broken.fault) {
      case "flip-in-stream":
      case "lose-run":
        return this.#read(`/streams/${this.#broken.streamId}?limit=1000`, ({ version }) => version, "from", 0);
      case "flip-in-log":
      case "lose-row":
        return this.#read("/feed?limit=1000", ({ position }) => position ?? 0, "after", 1);
      default:
        return this.#append();
    }
  }

  /** Reads from the damage on, and once more with `damaged=skip`. */
  async #read(path: string, placeOf: (event: RecordedEvent) => number, from: "from" | "after", before: number): Promise<readonly string[]> {
    const places = this.#broken.events.map(placeOf);
    const [first = 0, last = 0] = [places[0], places.at(-1)];
    const at = await this.#ask(`${path}&${from}=${first - before}`);
    const skipped = await this.#ask(`${path}&damaged=skip`);
    this.#ground.observe({ kind: "salvaged", store: this.#store, events: [...(at.events ?? []), ...(skipped.events ?? [])] });
    const isNamed = skipped.damaged?.some((span) => span.first <= first && span.last >= last) === true;
    const isRefused = at.code === "storage-damaged" && (at.position ?? at.version) === first;
    return [
      ...(isRefused ? [] : [`who reads ${path} from ${first} on`]),
      ...(isNamed ? [] : [`who reads ${path} and skips what is damaged`]),
    ];
  }

  /** Reads the stream, looks at the store's health, and makes an append that knows what the stream has lost. */
  async #append(): Promise<readonly string[]> {
    const { streamId, published } = this.#broken;
    await this.#ask(`/streams/${streamId}`);
    const event = { id: eventId("inspector", published), type: "Written", data: { key: "inspector", number: 0 }, occurredAt: timeAt(0) };
    const refused = await this.#ask(`/streams/${streamId}`, { expectedVersion: published, events: [event] });
    const health = await this.#ask("/health");
    const isRefused = refused.code === "stream-diverged";
    return [
      ...(isRefused ? [] : [`who appends to ${streamId}: ${JSON.stringify(refused)}`]),
      ...((health.diverged ?? 0) > 0 ? [] : ["who looks at the store's health"]),
    ];
  }

  async #ask(path: string, body?: object): Promise<Answer> {
    const response = await askAsOperator(this.#edge, this.#store, path, body);
    return (await response.json()) as Answer; // what the edge's interface says
  }
}
