/** Reads a request's body. Its bytes are counted as they arrive, whatever its headers claim. */
import { InvalidRequestError, PayloadTooLargeError } from "../../shared/errors.ts";
import { isObject } from "../../shared/json.ts";
import { lostMessage, lostNumber, pathText } from "../../shared/json-text.ts";

/**
 * @param most bytes, at most
 * @throws PayloadTooLargeError as soon as there are more
 * @throws InvalidRequestError if the body has a content encoding, is not UTF-8 or is not JSON, or if it has a number that would change
 */
export async function readJson(request: Request, most: number): Promise<unknown> {
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") {
    throw new InvalidRequestError("The body has a content encoding: send it without one.", { field: "content-encoding" });
  }
  const text = await readText(request, most);
  const value = parse(text);
  const lost = lostNumber(text);
  if (lost === undefined) return value;
  const field = pathText(lost.path, "body");
  throw new InvalidRequestError(`${field} ${lostMessage(lost)}`, { field });
}

/**
 * Checks that a body has no other fields than its schema: a typo such as `expected` would append without a check. A push is not checked so,
 * since devices of later versions make it: see `assertSpelt`.
 *
 * @throws InvalidRequestError that names the first other field
 */
export function assertFields(body: unknown, { entries }: { readonly entries: object }): void {
  const unknown = isObject(body) ? Object.keys(body).find((name) => !Object.hasOwn(entries, name)) : undefined;
  if (unknown === undefined) return;
  const fields = Object.keys(entries).join(", ");
  throw new InvalidRequestError(`${unknown} is not a field of this body. Fields are ${fields}.`, { field: unknown });
}

/**
 * Checks that no field of a push differs from one that the edge knows in its case or its separators alone, such as `expected_version`. A later
 * version adds no such field, but a person may write one, and the edge would ignore it.
 *
 * @param field what errors put before the name, e.g. `commits[3].`
 * @throws InvalidRequestError that names the first such field
 */
export function assertSpelt(value: unknown, known: readonly string[], field: string): void {
  if (!isObject(value) || Array.isArray(value)) return;
  for (const name of Object.keys(value)) {
    const meant = known.includes(name) ? undefined : known.find((other) => plain(other) === plain(name));
    if (meant !== undefined) throw new InvalidRequestError(`${field}${name} must be written ${meant}.`, { field: `${field}${name}` });
  }
}

function plain(name: string): string {
  return name.replaceAll(/[_-]/g, "").toLowerCase();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidRequestError("The body is not valid JSON.", { field: "body" }, { cause: error });
  }
}

async function readText(request: Request, most: number): Promise<string> {
  const tooLarge = () => new PayloadTooLargeError(`The body has more than ${most} bytes: send less at once.`, { field: "body" });
  if (Number(request.headers.get("content-length") ?? 0) > most) throw tooLarge();
  if (request.body === null) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > most) throw tooLarge();
    chunks.push(new Uint8Array(chunk));
  }
  // Only after the body has ended: a runtime that is still passing it on may lose the response.
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(joined(chunks, bytes));
  } catch (error) {
    throw new InvalidRequestError("The body is not valid UTF-8.", { field: "body" }, { cause: error });
  }
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
