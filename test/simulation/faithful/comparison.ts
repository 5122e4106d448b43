/**
 * Compares what a world's edge and the real one have said, character by character, but for:
 *  - ids of logs, which each edge makes itself: one of the world is one of the real edge, and the other way round, for good;
 *  - times of the edges' clocks: `recordedAt` of events, and when credentials expire;
 *  - how long a caller is asked to wait, and how old something is;
 *  - digests of pages, which cover the times: each is the digest of its own page's events.
 *
 * Fields, and their order, are the same. Marks are digests of event ids, so they are the same too.
 */
import { pageDigestOf } from "../../../shared/event/digest.ts";
import type { ConfirmedEvent } from "../../../shared/event/event.ts";

/** Headers that say something. */
const HEADERS = [
  "content-type",
  "cache-control",
  "retry-after",
  "www-authenticate",
  "vary",
  "access-control-allow-origin",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-expose-headers",
  "access-control-max-age",
  "sec-websocket-protocol",
];
/** Fields with a time, or with a duration. */
const TIMES = new Set(["recordedAt", "expiresAt", "retryAfter", "oldestUnpublishedAgeMs"]);

export class Comparison {
  /** What was not the same, with where it was. */
  readonly differences: string[] = [];
  /** Values that were compared. */
  compared = 0;
  readonly #real = new Map<string, string>();
  readonly #known = new Map<string, string>();
  /** When the real edge recorded an event that the world recorded at a time. */
  readonly #times = new Map<string, string>();

  /** A request of the world with the real edge's ids. */
  translate(text: string): string {
    let translated = text;
    for (const [ofWorld, ofReal] of this.#real) translated = translated.replaceAll(ofWorld, ofReal);
    return translated;
  }

  differ(where: string, world: unknown, real: unknown): void {
    this.differences.push(`${where}: the world has ${shown(world)}, the real edge ${shown(real)}`);
  }

  headers(where: string, world: Readonly<Record<string, string>>, real: Readonly<Record<string, string>>): void {
    for (const name of HEADERS) this.#value(`${where} ${name}`, world[name], real[name]);
  }

  /** JSON, or any other text. */
  texts(where: string, world: string, real: string): void {
    const [ofWorld, ofReal] = [parsed(world), parsed(real)];
    if (ofWorld === undefined || ofReal === undefined) return this.#value(where, world, real);
    this.#value(where, ofWorld, ofReal);
  }

  #value(where: string, world: unknown, real: unknown): void {
    if (Array.isArray(world) && Array.isArray(real)) {
      this.#value(`${where}.length`, world.length, real.length);
      for (const [i, item] of world.entries()) if (i < real.length) this.#value(`${where}[${i}]`, item, real[i]);
      return;
    }
    if (isRecord(world) && isRecord(real)) {
      const names = Object.keys(world);
      this.#plain(`${where} fields`, names.join(), Object.keys(real).join());
      const pages = [world, real].filter((one) => isPage(one));
      for (const name of names) {
        if (pages.length < 2 || name !== "digest") this.#field(`${where}.${name}`, name, world[name], real[name]);
      }
      for (const page of pages) this.#plain(`${where}.digest`, pageDigestOf(page.events), page.digest);
      if ("recordedAt" in world) this.#recorded(where, String(world["id"]), String(world["recordedAt"]), String(real["recordedAt"]));
      return;
    }
    this.#plain(where, world, real);
  }

  #field(where: string, name: string, world: unknown, real: unknown): void {
    if (name === "log" && typeof world === "string" && typeof real === "string") return this.#id(where, world, real);
    if (!TIMES.has(name)) return this.#value(where, world, real);
    this.#plain(`${where} kind`, kindOf(world), kindOf(real));
  }

  /** An event that was recorded once has one time, and another one if it was recorded again. */
  #recorded(where: string, id: string, world: string, real: string): void {
    const known = this.#times.get(`${id} ${world}`);
    if (known === undefined) this.#times.set(`${id} ${world}`, real);
    else this.#plain(`${where}.recordedAt`, `as before: ${known}`, `as before: ${real}`);
  }

  #plain(where: string, world: unknown, real: unknown): void {
    this.compared++;
    if (world !== real) this.differ(where, world, real);
  }

  #id(where: string, world: string, real: string): void {
    this.compared++;
    const [expected, from] = [this.#real.get(world), this.#known.get(real)];
    if (expected === undefined && from === undefined) {
      this.#real.set(world, real);
      this.#known.set(real, world);
    } else if (expected !== real || from !== world) this.differ(where, `${world}, known as ${expected}`, `${real}, known as ${from}`);
  }
}

function kindOf(value: unknown): string {
  if (typeof value !== "string") return value === null ? "null" : typeof value;
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value) ? "a time" : value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // then it is compared as text
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 300);
}

/** A page of the feed. */
function isPage(
  value: Readonly<Record<string, unknown>>,
): value is Readonly<Record<string, unknown>> & { readonly events: readonly ConfirmedEvent[]; readonly digest: string } {
  return "digest" in value && "events" in value && Array.isArray(value["events"]);
}
