/**
 * Digests of content. By them it is noticed that storage has changed what was written: a bit that flipped, a text that was cut, an event in
 * another one's place. The edge makes an event's digest when it records the event, and stores it with the event. Whoever reads the event
 * makes it again, of what was read.
 *
 *     stream, version, and everything that was recorded as JSON ──► digest of the event ──► the digests of a page's events ──► of the page
 *
 * The JSON has its fields in one order, so that edge, device and command line make the same digest. The position is not part of an event's
 * digest: the event is digested before it has one. It is part of the page's.
 *
 * What it does not do: stand against somebody who forges an event. Such a person can make the digest too, and 64 bits are few. It detects
 * accidents. It does not say that events are missing either: versions, positions and marks (`shared/mark.ts`) show that.
 */
import { digits, mixed } from "../bits.ts";
import type { ConfirmedEvent, EventBody, RecordingFields } from "./event.ts";

/** Every browser and every runtime of the edge has it. */
declare class TextEncoder {
  encodeInto(text: string, into: Uint8Array): { readonly written: number };
}

/** An event without its place. */
export type RecordedFields = EventBody & Pick<RecordingFields, "recordedAt" | "actor">;

/** The names of the fields, in the order in which the JSON has them. */
export const CONTENT_FIELDS = ["id", "type", "schemaVersion", "data", "metadata", "occurredAt", "recordedAt", "actor"] as const;

/** What was recorded, as JSON without the bracket at its end: the edge adds the digest there. */
export function contentOf({ id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor }: RecordedFields): string {
  return JSON.stringify({ id, type, schemaVersion, data, metadata, occurredAt, recordedAt, actor } satisfies RecordedFields).slice(0, -1);
}

/** The digest of an event: 16 hexadecimal digits in lower case. @param content as `contentOf` returns it */
export function eventDigest(streamId: string, version: number, content: string): string {
  return textDigest(content, `${streamId}@${version}`);
}

/** The digest of a page's events, in their order. */
export function pageDigest(events: readonly { readonly position: number; readonly digest: string }[]): string {
  return textDigest(events.map(({ position, digest }) => `${position} ${digest}`).join());
}

/** The digest of a page as its reader makes it, of the events themselves. */
export function pageDigestOf(events: readonly ConfirmedEvent[]): string {
  return pageDigest(
    events.map((event) => ({ position: event.position, digest: eventDigest(event.streamId, event.version, contentOf(event)) })),
  );
}

const encoder = /* @__PURE__ */ new TextEncoder();
/** The text that is being digested, as UTF-8. It grows with the longest text. */
let bytes = /* @__PURE__ */ new Uint8Array(4096);
let words = /* @__PURE__ */ new DataView(bytes.buffer);
/** The end of a text, with zeros behind it. */
const rest = /* @__PURE__ */ new Uint8Array(16);
const restWords = /* @__PURE__ */ new DataView(rest.buffer);

function makeRoom(length: number): void {
  if (length <= bytes.length) return;
  bytes = new Uint8Array(length);
  words = new DataView(bytes.buffer);
}

/** @returns the length in bytes */
function encode(text: string): number {
  makeRoom(text.length * 3);
  return encoder.encodeInto(text, bytes).written;
}

/**
 * Digests of events whose contents stand in one text. It is encoded once: to encode each event would cost as much as all else. Nothing else may
 * be digested until it is done with.
 */
export class EventDigests {
  readonly #text: string;
  readonly #streamId: string;
  /** Each character is one byte, so that places of characters are those of bytes. */
  readonly #isPlain: boolean;

  constructor(text: string, streamId: string) {
    this.#text = text;
    this.#streamId = streamId;
    this.#isPlain = encode(text) === text.length;
  }

  /** As `eventDigest` of the content that stands there. @param from its first character @param to the one behind it */
  at(from: number, to: number, version: number): string {
    if (!this.#isPlain) return eventDigest(this.#streamId, version, this.#text.slice(from, to));
    return bytesDigest(from, to - from, `${this.#streamId}@${version}`);
  }
}

const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;

/**
 * Four lanes of 32 bits, as those of xxHash by Yann Collet. Each step can be undone if the word is known, and so can each of the last steps if
 * the other lanes are: a text that differs in one word of four bytes has another digest, always. Other texts have the same digest as
 * rarely as a coin falls on the same side 64 times in a row.
 */
export function textDigest(text: string, place = ""): string {
  return bytesDigest(0, encode(text), place);
}

/** The same of bytes. */
export function digestOfBytes(given: Uint8Array, place = ""): string {
  makeRoom(given.length);
  bytes.set(given);
  return bytesDigest(0, given.length, place);
}

/** Of a part of `bytes`. */
function bytesDigest(from: number, length: number, place: string): string {
  let a = PRIME_1;
  let b = PRIME_2;
  let c = 0;
  let d = length;
  // A place is short: adding it to the text would copy the text.
  for (let i = 0; i < place.length; i++) c = stirred(c, place.charCodeAt(i));
  const whole = from + (length & ~15);
  for (let i = from; i < whole; i += 16) {
    a = stirred(a, words.getInt32(i, true));
    b = stirred(b, words.getInt32(i + 4, true));
    c = stirred(c, words.getInt32(i + 8, true));
    d = stirred(d, words.getInt32(i + 12, true));
  }
  if (whole < from + length) {
    for (let i = 0; i < 16; i++) rest[i] = whole + i < from + length ? (bytes[whole + i] ?? 0) : 0;
    a = stirred(a, restWords.getInt32(0, true));
    b = stirred(b, restWords.getInt32(4, true));
    c = stirred(c, restWords.getInt32(8, true));
    d = stirred(d, restWords.getInt32(12, true));
  }
  const high = mixed(a ^ mixed(b ^ mixed(c ^ mixed(d))));
  const low = mixed(d ^ mixed(c + mixed(b + mixed(a + high))));
  return digits(high) + digits(low);
}

function stirred(lane: number, word: number): number {
  const sum = (lane + Math.imul(word, PRIME_2)) | 0;
  return Math.imul((sum << 13) | (sum >>> 19), PRIME_1);
}
