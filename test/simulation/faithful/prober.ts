/**
 * A caller that asks whatever can be asked over HTTP, and what must not be answered. It writes to a store of its own, and reads the others'.
 * Without it, no world would list streams, filter the feed by types, or send a body that is not JSON.
 */
import { GRANTS_CLAIM } from "../../../shared/edge/token.ts";
import type { AppendAnswer, FeedPage, StreamList } from "../../../shared/wire/wire.ts";
import { eventId } from "../identity.ts";
import { poisoned } from "../poison.ts";
import type { Random } from "../random.ts";
import { FOR_EVER, sign } from "../token.ts";
import { STORE, type World } from "../world.ts";
import { OWN } from "./params.ts";
import { PROBES } from "./probes.ts";

const ACTIONS = ["read", "append"];
/** How often everything is asked in a world. */
const ROUNDS = 2;

export interface Sent {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Null for none. */
  readonly token?: string | null;
}

export interface Told {
  readonly status: number;
  /** Whatever the route returns; which of it is there, a probe knows by the route. */
  readonly body: FeedPage & StreamList & AppendAnswer;
}

export class Prober {
  readonly random: Random;
  /** The tokens of a caller who may read and append everywhere, and of others. */
  readonly tokens = {
    good: tokenOf([{ store: "*", streams: ["*"], can: ACTIONS }]),
    admin: tokenOf([{ store: "*", streams: ["*"], can: [...ACTIONS, "admin"] }]),
    reader: tokenOf([{ store: "*", streams: ["*"], can: ["read"] }]),
    part: tokenOf([{ store: "*", streams: ["Permit-*", "Ticket-3"], can: ACTIONS }]),
    none: tokenOf([]),
    expired: tokenOf([{ store: "*", streams: ["*"], can: ACTIONS }], 1_000),
    foreign: `${tokenOf([]).slice(0, -43)}${"A".repeat(43)}`,
  };
  readonly #world: World;
  #made = 0;

  constructor(world: World) {
    this.#world = world;
    this.random = world.random.fork("prober");
  }

  start(): void {
    void this.#run();
  }

  async #run(): Promise<void> {
    const { scheduler, params } = this.#world;
    const mean = (params.minutes * 60_000) / (PROBES.length * ROUNDS * 1.5);
    for (let round = 0; round < ROUNDS; round++) {
      for (const probe of this.#shuffled(PROBES)) {
        await new Promise<void>((resolve) => void scheduler.after(this.random.wait(mean), resolve));
        void probe(this);
      }
    }
  }

  #shuffled<T>(items: readonly T[]): readonly T[] {
    return items
      .map((item) => ({ item, place: this.random.next() }))
      .sort((a, b) => a.place - b.place)
      .map(({ item }) => item);
  }

  async send(path: string, { method = "GET", body, headers = {}, token = this.tokens.good }: Sent = {}): Promise<Told> {
    const response = await this.open(path, { method, body, headers, token });
    const text = await response.text();
    return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
  }

  open(path: string, { method = "GET", body, headers = {}, token = this.tokens.good }: Sent = {}) {
    return this.#world.edge.handle(
      new Request(`http://edge${path}`, {
        method,
        headers: { ...(token !== null && { authorization: `Bearer ${token}` }), ...headers },
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    );
  }

  append(streamId: string, body: object, others: Sent = {}): Promise<Told> {
    return this.send(`/v1/${OWN}/streams/${streamId}`, { method: "POST", body, ...others });
  }

  push(body: object, others: Sent = {}): Promise<Told> {
    return this.send(`/v1/${OWN}/commits`, { method: "POST", body, ...others });
  }

  store(): string {
    return this.random.pick([STORE, STORE, OWN]);
  }

  streamId(): string {
    return this.random.pick(["Permit-1", "Permit-2", "Ticket-3", "Stock-1", "Stock", "Note-a.b:c~d"]);
  }

  event(data: Record<string, unknown> = {}): Record<string, unknown> & { readonly id: string; readonly data: object } {
    const number = ++this.#made;
    const occurredAt = new Date(Date.UTC(2026, 0, 1) + this.#world.scheduler.now).toISOString();
    const correlationId = this.random.pick(["c1", "c2"]);
    const type = this.random.pick(["Counted", "Noted", "Ünïcode"]);
    return { id: eventId("prober", number), type, data: { number, ...data }, metadata: { correlationId }, occurredAt };
  }

  /** An event that is larger than the edge allows, or at which its stream's object fails. */
  poisonedEvent(poison: "fails" | "rejected" | "large"): object {
    const event = this.event();
    return { ...event, data: poisoned(event.data, poison) };
  }

  pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.#world.scheduler.after(milliseconds, resolve));
  }

  /** Commits that a push of this world may not have more of. */
  get tooMany(): number {
    return this.#world.params.tooMany;
  }
}

function tokenOf(grants: readonly object[], exp = FOR_EVER): string {
  return sign(JSON.stringify({ sub: "prober", exp, [GRANTS_CLAIM]: grants }));
}
