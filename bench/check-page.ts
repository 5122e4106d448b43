/** `node bench/check-page.ts`: how long Node takes to check a feed page of 1,000 events. It needs neither an edge nor a browser. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { parseFeedPage } from "../shared/wire/wire.ts";
import { median } from "./measure.ts";

const CHECKS = 201;

const lines = gunzipSync(readFileSync("test/data/permits.ndjson.gz")).toString().split("\n").slice(0, 1000);
const events = lines.map((line, i) => {
  const { stream, type, time, actor, data } = JSON.parse(line);
  const recordedAt = new Date(time).toISOString();
  const place = { id: crypto.randomUUID(), streamId: stream, version: i + 1, position: i + 1 };
  return { ...place, type, schemaVersion: 1, data, metadata: { actor }, occurredAt: recordedAt, recordedAt, actor: null };
});
const text = JSON.stringify({ log: "log", events, position: 1000, mark: "mark", head: 1000 });
const times = Array.from({ length: CHECKS }, () => {
  const page = JSON.parse(text);
  const start = performance.now();
  parseFeedPage(page);
  return performance.now() - start;
});
console.log(
  `A page of 1,000 events: median ${median(times).toFixed(2)} ms, best ${Math.min(...times).toFixed(2)} ms, of ${CHECKS} checks.`,
);
