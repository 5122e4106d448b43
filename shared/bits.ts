/** Arithmetic on 32 bits, for digests. */

/** Mixes 32 bits so that each of them influences all of them: the finalizer of MurmurHash3, by Austin Appleby. It can be undone. */
export function mixed(bits: number): number {
  let mixing = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  mixing = Math.imul(mixing ^ (mixing >>> 13), 0xc2b2ae35);
  return mixing ^ (mixing >>> 16);
}

/** Two hexadecimal digits for each byte: a table is ten times as fast as `toString(16)`. */
const HEX = /* @__PURE__ */ Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** 8 hexadecimal digits in lower case. */
export function digits(bits: number): string {
  return `${HEX[bits >>> 24]}${HEX[(bits >>> 16) & 255]}${HEX[(bits >>> 8) & 255]}${HEX[bits & 255]}`;
}
