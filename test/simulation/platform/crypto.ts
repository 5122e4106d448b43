/**
 * `crypto` of a tab or of a Worker. Random values come from the world's seed. `subtle` computes at once and answers by a resolved promise,
 * because the platform's own answers from a thread, outside of virtual time. It has what verifying and signing a JWT needs: HMAC, RSA,
 * ECDSA and Ed25519 with raw keys and JWKs, and digests.
 *
 * Faults: none. Randomness that repeats would break ids, which every part of the product relies on being unique. Wrong signatures and keys
 * are the world's to make: they are checked here as the platform checks them.
 *
 * Left out: a web page without a secure context, in which `randomUUID` and `subtle` are absent. `insecure` in `habits/browser.ts` takes
 * them away, for devices with such a browser.
 */
import * as node from "node:crypto";
import type { Random } from "../random.ts";

type Data = ArrayBuffer | ArrayBufferView;
type Named = { readonly name: string; readonly hash?: string | { readonly name: string }; readonly namedCurve?: string };
/** What is signed with: the parameters of one call. */
type Signing = Named & { readonly saltLength?: number };

export function cryptoOf(random: Random): Crypto {
  return {
    randomUUID: () => randomUUID(random),
    getRandomValues: <T extends ArrayBufferView | null>(array: T): T => {
      if (array !== null) fill(array, random);
      return array;
    },
    // What the product and jose call of it.
    subtle: { importKey, exportKey, sign, verify, digest } as unknown as SubtleCrypto,
  };
}

/** The two digits of each byte. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function randomUUID(random: Random): ReturnType<Crypto["randomUUID"]> {
  const [a, b, c, d] = [bitsOf(random), bitsOf(random), bitsOf(random), bitsOf(random)];
  const version = (b & 0xffff0fff) | 0x00004000;
  const variant = (c & 0x3fffffff) | 0x80000000;
  return `${high(a)}${low(a)}-${high(version)}-${low(version)}-${high(variant)}-${low(variant)}${high(d)}${low(d)}`;
}

/** Two bytes. */
function high(bits: number): string {
  return `${HEX[bits >>> 24]}${HEX[(bits >>> 16) & 255]}`;
}

function low(bits: number): string {
  return `${HEX[(bits >>> 8) & 255]}${HEX[bits & 255]}`;
}

function bitsOf(random: Random): number {
  return random.next() * 2 ** 32;
}

/** Bytes of random values that one call may ask for. */
const MOST = 65_536;

function fill(array: ArrayBufferView, random: Random): void {
  if (array.byteLength > MOST) throw new DOMException("The requested length exceeds 65,536 bytes", "QuotaExceededError");
  const bytes = bytesOf(array);
  for (let place = 0, bits = 0; place < bytes.length; place++) {
    bits = place % 4 === 0 ? bitsOf(random) : bits >>> 8;
    bytes[place] = bits;
  }
}

class Key {
  readonly type: KeyType;
  readonly extractable: boolean;
  readonly algorithm: object & Named;
  readonly usages: readonly KeyUsage[];
  readonly [Symbol.toStringTag] = "CryptoKey";
  /** The key itself, which a web page cannot read. */
  readonly #key: node.KeyObject;

  constructor(key: node.KeyObject, algorithm: object & Named, extractable: boolean, usages: readonly KeyUsage[]) {
    this.#key = key;
    this.type = key.type;
    this.algorithm = algorithm;
    this.extractable = extractable;
    this.usages = [...usages];
  }

  static open(key: Key): node.KeyObject {
    return key.#key;
  }
}

async function importKey(
  format: string,
  data: Data | JsonWebKey,
  algorithm: string | Named,
  extractable: boolean,
  usages: readonly KeyUsage[],
): Promise<Key> {
  const named = typeof algorithm === "string" ? { name: algorithm } : algorithm;
  const key = format === "jwk" ? keyOfJwk(data as JsonWebKey) : keyOfBytes(format, data as Data, named);
  return new Key(key, describe(key, named), extractable, usages);
}

function keyOfBytes(format: string, data: Data, { name }: Named): node.KeyObject {
  if (format === "raw" && name === "HMAC") return node.createSecretKey(bytesOf(data));
  throw unsupported(`keys of ${name} in the format ${format}`);
}

function keyOfJwk(jwk: JsonWebKey): node.KeyObject {
  try {
    if (jwk.kty === "oct") return node.createSecretKey(jwk.k ?? "", "base64url");
    const input = { key: { ...jwk }, format: "jwk" } as const;
    return jwk.d === undefined ? node.createPublicKey(input) : node.createPrivateKey(input);
  } catch (cause) {
    throw new DOMException(`Invalid keyData: ${cause instanceof Error ? cause.message : cause}`, "DataError");
  }
}

/** The names that OpenSSL has for the curves. */
const CURVES: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

/** The key's `algorithm`, by which jose checks that it fits. */
function describe(key: node.KeyObject, { name, hash, namedCurve }: Named): Named & object {
  const { namedCurve: curve = "", modulusLength } = key.asymmetricKeyDetails ?? {};
  if (name === "HMAC") return { name, hash: { name: hashOf(hash) }, length: 8 * (key.symmetricKeySize ?? 0) } as Named;
  if (name.startsWith("RSA")) return { name, hash: { name: hashOf(hash) }, modulusLength } as Named;
  if (name === "ECDSA" && CURVES[curve] === namedCurve && namedCurve !== undefined) return { name, namedCurve };
  if (name === "Ed25519" && key.asymmetricKeyType === "ed25519") return { name };
  throw new DOMException(`The key is not one for ${name}.`, "DataError");
}

async function exportKey(format: string, key: Key): Promise<JsonWebKey | ArrayBuffer> {
  if (!key.extractable) throw new DOMException("The key is not extractable.", "InvalidAccessError");
  const opened = Key.open(key);
  if (format === "raw" && key.type === "secret") return bufferOf(opened.export());
  if (format !== "jwk") throw unsupported(`keys in the format ${format}`);
  return { ...opened.export({ format: "jwk" }), key_ops: [...key.usages], ext: true };
}

async function sign(algorithm: string | Signing, key: Key, data: Data): Promise<ArrayBuffer> {
  const signing = check(algorithm, key, "sign");
  if (signing.name === "HMAC") return bufferOf(mac(key, data));
  return bufferOf(
    node.sign(digestOf(signing, key), bytesOf(data), { ...paddingOf(signing), key: Key.open(key), dsaEncoding: "ieee-p1363" }),
  );
}

async function verify(algorithm: string | Signing, key: Key, signature: Data, data: Data): Promise<boolean> {
  const signing = check(algorithm, key, "verify");
  const given = bytesOf(signature);
  if (signing.name === "HMAC") {
    const right = mac(key, data);
    return given.length === right.length && node.timingSafeEqual(given, right);
  }
  const options = { ...paddingOf(signing), key: Key.open(key), dsaEncoding: "ieee-p1363" } as const;
  return node.verify(digestOf(signing, key), bytesOf(data), options, given);
}

async function digest(algorithm: string | Named, data: Data): Promise<ArrayBuffer> {
  return bufferOf(
    node
      .createHash(nodeName(hashOf(algorithm)))
      .update(bytesOf(data))
      .digest(),
  );
}

function check(algorithm: string | Signing, key: Key, usage: KeyUsage): Signing {
  const signing = typeof algorithm === "string" ? { name: algorithm } : algorithm;
  if (signing.name !== key.algorithm.name) throw new DOMException("key.algorithm does not match that of operation", "InvalidAccessError");
  if (!key.usages.includes(usage)) throw new DOMException(`key.usages does not permit this operation: ${usage}`, "InvalidAccessError");
  return signing;
}

function mac(key: Key, data: Data): Buffer {
  return node
    .createHmac(nodeName(hashOf(key.algorithm.hash)), Key.open(key))
    .update(bytesOf(data))
    .digest();
}

/** ECDSA names its hash at each call, RSA in the key, and Ed25519 has none. */
function digestOf({ name, hash }: Signing, key: Key): string | null {
  return name === "Ed25519" ? null : nodeName(hashOf(hash ?? key.algorithm.hash));
}

function paddingOf({ name, saltLength }: Signing): { padding?: number; saltLength?: number } {
  if (name === "RSA-PSS" && saltLength !== undefined) return { padding: node.constants.RSA_PKCS1_PSS_PADDING, saltLength };
  return {};
}

function hashOf(hash: string | { readonly name: string } | undefined): string {
  const name = typeof hash === "object" ? hash.name : hash;
  if (name === undefined) throw new TypeError("the algorithm has no hash");
  return name;
}

/** `SHA-256` is `sha256` in Node. */
function nodeName(hash: string): string {
  if (!/^SHA-(1|256|384|512)$/.test(hash)) throw unsupported(`the hash ${hash}`);
  return hash.replace("-", "").toLowerCase();
}

function bytesOf(data: Data): Uint8Array<ArrayBuffer> {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

/** A buffer of its own: Node's small buffers share one. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function unsupported(what: string): DOMException {
  return new DOMException(`The simulation does not support ${what}.`, "NotSupportedError");
}
