/** Caches the web page and its files, so that it opens without a network. It does not touch events: the store keeps them. */
/// <reference lib="webworker" />
export {};

declare const self: ServiceWorkerGlobalScope;

const CACHE = "permit-desk";
const FILES = ["/", "/app.js", "/style.css", "/permits.ndjson.gz"];

self.addEventListener("install", (event) => {
  event.waitUntil(fill().then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => {
  event.waitUntil(self.clients.claim());
});
self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method === "GET" && origin === self.location.origin && FILES.includes(pathname)) event.respondWith(answer(pathname));
});

async function fill(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll(FILES);
}

/** The file from the network; from the cache if there is no network. */
async function answer(pathname: string): Promise<Response> {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(pathname);
    if (response.ok) await cache.put(pathname, response.clone());
    return response;
  } catch (error) {
    const cached = await cache.match(pathname);
    if (cached === undefined) throw error;
    return cached;
  }
}
