/** Reading a request's body: counted as it comes in, whatever its headers claim. */
import { InvalidRequestError, PayloadTooLargeError } from "../shared/errors.ts";

/**
 * @param most bytes
 * @throws PayloadTooLargeError as soon as there are more, InvalidRequestError for what is not UTF-8 or not JSON
 */
export async function readJson(request: Request, most: number): Promise<unknown> {
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") {
    throw new InvalidRequestError("Send the body as it is, without a content encoding.", { field: "content-encoding" });
  }
  const text = await readText(request, most);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidRequestError("The body is not JSON.", { field: "body" }, { cause: error });
  }
}

async function readText(request: Request, most: number): Promise<string> {
  const tooLarge = () => new PayloadTooLargeError(`A request's body has at most ${most} bytes.`, { field: "body" });
  if (Number(request.headers.get("content-length") ?? 0) > most) throw tooLarge();
  if (request.body === null) return "";
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > most) throw tooLarge();
    text += decode(decoder, chunk);
  }
  return text + decode(decoder);
}

function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
  } catch (error) {
    throw new InvalidRequestError("The body is not UTF-8.", { field: "body" }, { cause: error });
  }
}
