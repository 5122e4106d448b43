/** Reading a request's body: counted as it comes in, whatever its headers claim. */
import { InvalidRequestError, PayloadTooLargeError } from "../../shared/errors.ts";

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
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > most) throw tooLarge();
    chunks.push(new Uint8Array(chunk));
  }
  // Not before the body has come to its end: a runtime that is still handing it over may lose the answer.
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await new Blob(chunks).arrayBuffer());
  } catch (error) {
    throw new InvalidRequestError("The body is not UTF-8.", { field: "body" }, { cause: error });
  }
}
