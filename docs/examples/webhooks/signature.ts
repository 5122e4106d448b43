/**
 * The signature of a webhook, for the sender and the receiver: HMAC with SHA-256 over id, time and body, in the form of
 * https://www.standardwebhooks.com. The libraries of that project verify it in many languages; they take the secret as `whsec_` followed by
 * its Base64. This file needs Web Crypto only.
 */

export interface Signed {
  readonly id: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** The exact text that is sent. A body that was parsed and serialized again may differ, and then the signature does not match. */
  readonly body: string;
}

/** Seconds. An older request may be an old message that an attacker sends again. */
const TOLERANCE = 300;

export async function signatureOf(signed: Signed, secret: string): Promise<string> {
  const bytes = await crypto.subtle.sign("HMAC", await keyOf(secret, "sign"), bytesOf(signed));
  return `v1,${btoa(String.fromCharCode(...new Uint8Array(bytes)))}`;
}

/**
 * For the receiver: whether the sender of the request knows the secret, and its time is within five minutes of now. A receiver that answers
 * 2xx stores the `webhook-id`. If a request with the same id comes again, it answers 2xx and does nothing else.
 *
 * @param now milliseconds since 1970
 */
export async function isAuthentic(headers: Headers, body: string, secret: string, now = Date.now()): Promise<boolean> {
  const id = headers.get("webhook-id") ?? "";
  const timestamp = Number(headers.get("webhook-timestamp") ?? Number.NaN);
  if (!Number.isSafeInteger(timestamp) || Math.abs(now / 1000 - timestamp) > TOLERANCE) return false;
  const key = await keyOf(secret, "verify");
  // There are several signatures while the secret is changed. `verify` compares in constant time, so its duration reveals nothing.
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
