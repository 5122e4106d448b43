/** Server-sent events of the real edge, compared with those of the world. How they are cut into pieces may differ, and comments too. */
import type { Comparison } from "./comparison.ts";
import type { RealResponse } from "./real-edge.ts";
import type { ChannelItem } from "./recording.ts";
import { PATIENCE } from "./socket-channel.ts";

export class StreamChannel {
  readonly #where: string;
  readonly #comparison: Comparison;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #decoder = new TextDecoder();
  #ofWorld = "";
  #ofReal = "";
  #compared = 0;
  #reading: Promise<boolean> | undefined;

  constructor(where: string, { body }: RealResponse, comparison: Comparison) {
    this.#where = where;
    this.#comparison = comparison;
    this.#reader = body?.getReader() as ReadableStreamDefaultReader<Uint8Array> | undefined; // of bytes, as all bodies
  }

  async play(item: ChannelItem, place: number): Promise<void> {
    const where = `#${place} on ${this.#where}`;
    if (item.kind === "piece") {
      this.#ofWorld += item.text;
      await this.#compare(where);
    } else this.drop();
  }

  async #compare(where: string): Promise<void> {
    const world = blocksOf(this.#ofWorld);
    while (blocksOf(this.#ofReal).length < world.length) if (!(await this.#read())) break;
    const real = blocksOf(this.#ofReal);
    for (; this.#compared < world.length; this.#compared++) {
      const [ofWorld, ofReal] = [world[this.#compared] ?? [], real[this.#compared] ?? []];
      if (ofWorld.length !== ofReal.length) this.#comparison.differ(where, ofWorld, ofReal);
      else for (const [i, line] of ofWorld.entries()) this.#comparison.texts(where, line, ofReal[i] ?? "");
    }
  }

  /** @returns whether there was more */
  async #read(): Promise<boolean> {
    this.#reading ??= this.#next();
    const { promise, resolve } = Promise.withResolvers<false>();
    const timer = setTimeout(() => resolve(false), PATIENCE);
    const isMore = await Promise.race([this.#reading, promise]);
    clearTimeout(timer);
    return isMore;
  }

  async #next(): Promise<boolean> {
    const piece = await this.#reader?.read();
    this.#reading = undefined;
    if (piece?.value === undefined) return false;
    this.#ofReal += this.#decoder.decode(piece.value, { stream: true });
    return true;
  }

  async finish(): Promise<void> {
    this.drop();
  }

  drop(): void {
    // It may have failed with its edge: nobody reads it any more.
    this.#reader?.cancel().catch(() => undefined);
  }
}

/** The events of a text, as their lines, without what `data:` and the like are called. */
function blocksOf(text: string): readonly (readonly string[])[] {
  const blocks = text.split("\n\n").slice(0, -1);
  return blocks.filter((block) => !block.startsWith(":")).map((block) => block.split("\n").map((line) => line.replace(/^data: /, "")));
}
