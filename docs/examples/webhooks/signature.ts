/**
 * The signature of a webhook, for both sides: HMAC by SHA-256 over id, time and body, in the form of https://www.standardwebhooks.com,
 * whose libraries verify it in many languages; they are given the secret as `whsec_` and its Base64. It needs nothing but Web Crypto.
 */

export interface Signed {
  readonly id: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** As it is sent: a body that was parsed and written anew is another one. */
  readonly body: string;
}

/** Seconds. What is older may be an old message that somebody sends again. */
const TOLERANCE = 300;

export async function signatureOf(signed: Signed, secret: string): Promise<string> {
  const bytes = await crypto.subtle.sign("HMAC", await keyOf(secret, "sign"), bytesOf(signed));
  return `v1,${btoa(String.fromCharCode(...new Uint8Array(bytes)))}`;
}

/**
 * For the receiver: whether the request came from who knows the secret, not long ago. Whoever answers 2xx keeps `webhook-id`, and
 * answers 2xx to the next request of the same id without doing anything.
 *
 * @param now milliseconds since 1970
 */
export async function isAuthentic(headers: Headers, body: string, secret: string, now = Date.now()): Promise<boolean> {
  const id = headers.get("webhook-id") ?? "";
  const timestamp = Number(headers.get("webhook-timestamp") ?? Number.NaN);
  if (!Number.isSafeInteger(timestamp) || Math.abs(now / 1000 - timestamp) > TOLERANCE) return false;
  const key = await keyOf(secret, "verify");
  // Several, while the secret is changed. `verify` compares in constant time: how long it takes tells nothing of the right signature.
  for (const signature of (headers.get("webhook-signature") ?? "").split(" ")) {
    const bytes = bytesOfSignature(signature);
    if (bytes !== null && (await crypto.subtle.verify("HMAC", key, bytes, bytesOf({ id, timestamp, body })))) return true;
  }
  return false;
}

function bytesOf({ id, timestamp, body }: Signed): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new TextEncoder().encode(`${id}.${timestamp}.${body}`));
}

function bytesOfSignature(signature: string): Uint8Array<ArrayBuffer> | null {
  const [, base64 = ""] = /^v1,([A-Za-z0-9+/]{43}=)$/.exec(signature) ?? [];
  return base64 === "" ? null : Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function keyOf(secret: string, usage: "sign" | "verify"): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [usage]);
}
