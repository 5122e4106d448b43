/**
 * The only source of chance in a simulated world: sfc32 (Doty-Humphrey, PractRand), seeded by a number and a name. Each part of
 * a world draws from a fork of its own. So a fault that is switched off does not change what the others draw.
 */
export class Random {
  readonly #seed: number;
  readonly #name: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, name = "") {
    this.#seed = seed >>> 0;
    this.#name = name;
    this.#a = this.#seed;
    this.#b = hash(name);
    this.#c = hash(`${name}/`);
    for (let i = 0; i < 12; i++) this.next();
  }

  fork(name: string): Random {
    return new Random(this.#seed, `${this.#name}/${name}`);
  }

  /** From 0 to below 1. */
  next(): number {
    const t = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    return (t >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number; both ends may come. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** Between the two, each order of magnitude as likely as the next. */
  spread(least: number, most: number): number {
    return least * (most / least) ** this.next();
  }

  /** A whole number of milliseconds: waits whose mean this is. */
  wait(mean: number): number {
    return Math.ceil(-Math.log(1 - this.next()) * mean);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new Error("there is nothing to pick from");
    return item;
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let bits = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) bits = Math.imul(bits ^ text.charCodeAt(i), 0x01000193);
  return bits;
}
