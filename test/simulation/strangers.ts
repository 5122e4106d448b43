/**
 * What answers in the edge's place: proxies, load balancers, firewalls, login pages. Each answer says nothing of what became of the request:
 * the stranger may have let it through before.
 *
 *     stranger     a page with any status and any text, with the request done or not
 *     redirect     the address leads elsewhere: to an edge, where a POST becomes a GET, or to a login page
 *     cut-answer   the edge's answer breaks off, comes cut, can't be decoded, or stays compressed
 *     hold-stream  server-sent events are collected, and come together or never
 *     no-upgrade   a WebSocket is not let through
 *
 * Left out: a stranger that speaks like the edge and lies, since TLS is there for that. A firewall that dislikes certain bytes for ever and a
 * proxy that limits the size of bodies are in `habits/walled.ts`, where it is known what must come of each.
 */
import { gzipSync } from "node:zlib";
import type { Ground } from "./ground.ts";
import type { Random } from "./random.ts";

/** Hands a request to the edge. */
type Send = (url: string, init: RequestInit) => Promise<Response>;

/** What comes back through strangers. */
export async function throughStrangers({ random, faults }: Ground, url: string, init: RequestInit, send: Send): Promise<Response> {
  if (faults.strikes("stranger")) {
    if (random.chance(0.5)) await send(url, init);
    return page(random);
  }
  if (faults.strikes("redirect")) return redirected(random, url, init, send);
  const answer = await send(url, init);
  if (isEventStream(answer))
    return faults.strikes("hold-stream") ? heldBack(answer, random.pick([2_000, Number.POSITIVE_INFINITY])) : answer;
  return faults.strikes("cut-answer") ? cut(random, answer) : answer;
}

export function isEventStream({ headers }: Response): boolean {
  return headers.get("content-type")?.startsWith("text/event-stream") === true;
}

/** The answer as a proxy hands it on that collects so many bytes first. */
export function heldBack(answer: Response, most: number): Response {
  const reader = answer.body?.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const pieces: Uint8Array[] = [];
      for (let collected = 0; collected < most; ) {
        const piece = await reader?.read();
        if (piece?.value === undefined) break;
        pieces.push(piece.value);
        collected += piece.value.length;
      }
      for (const piece of pieces) controller.enqueue(piece);
      if (pieces.length === 0) controller.close();
    },
    cancel: (reason) => reader?.cancel(reason),
  });
  return new Response(body, { status: answer.status, headers: answer.headers });
}

const STATUSES = [200, 200, 204, 400, 401, 403, 404, 405, 406, 407, 413, 429, 500, 502, 503, 504, 511];

/** Pages of servers that are no edge. Some have the form of JSON, and one almost that of a problem document. */
const TEXTS = [
  "<!doctype html><title>Log in to the network</title>",
  "<html><h1>Error</h1></html>",
  "",
  "null",
  '{"isOnline":true}',
  '{"message":"Forbidden"}',
  '{"code":"unauthenticated"}',
  '{"code":"invalid-request","detail":"The request was blocked."}',
];

export function page(random: Random, status = random.pick(STATUSES)): Response {
  const headers = { "content-type": random.pick(["text/html; charset=utf-8", "application/json"]) };
  const late = random.chance(0.2) ? { "retry-after": String(random.between(1, 5)) } : {};
  return new Response(status === 204 ? null : random.pick(TEXTS), { status, headers: { ...headers, ...late } });
}

async function redirected(random: Random, url: string, init: RequestInit, send: Send): Promise<Response> {
  if (random.chance(0.3)) return at(newAddressOf(url), page(random, 200));
  return random.chance(0.8) ? moved(url, init, send) : at(newAddressOf(url), await send(url, init));
}

/** As `fetch` follows a redirect with 301, 302 and 303: a POST becomes a GET, and loses its body. */
export async function moved(url: string, { body: _, method: __, ...get }: RequestInit, send: Send): Promise<Response> {
  return at(newAddressOf(url), await send(url, get));
}

export function newAddressOf(url: string): string {
  return url.replace("http://edge/", "https://www.edge/");
}

function at(url: string, response: Response): Response {
  return Object.defineProperties(response, { redirected: { value: true }, url: { value: url } });
}

export async function cut(random: Random, answer: Response): Promise<Response> {
  const { status, headers } = answer;
  if (answer.body === null) return answer;
  const text = await answer.text();
  const broken = () => new ReadableStream({ start: (controller) => controller.error(new TypeError("The content could not be decoded.")) });
  const body = random.pick([
    () => text.slice(0, random.between(0, Math.max(0, text.length - 1))),
    broken,
    // A proxy that drops the header `content-encoding`, and leaves the body as it is.
    () => gzipSync(text),
  ]);
  return new Response(body(), { status, headers });
}
