/** Runs the edge of docs/subscriptions.md with the settings that are shown with it: everybody who should get a mail gets one. */
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Block, blocksOf, isWorker, Page } from "../support/document.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const mails: { key: unknown; body: string }[] = [];
const server = createServer(async (request, response) => {
  const key = request.headers["idempotency-key"];
  let body = "";
  for await (const part of request) body += part;
  mails.push({ key, body });
  response.end();
});
let worker: Block;
let page: Page;
let edge: EdgeProcess;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const mailer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [block, ...others] = blocksOf("docs/subscriptions.md").filter(isWorker);
  if (block === undefined || others.length > 0) throw new Error("The page has no one Worker.");
  worker = block;
  page = await Page.write("docs/subscriptions.md", "", "subscriptions");
  await page.check(worker);
  await writeFile(join(ROOT, page.folder, worker.name), worker.code.replace("https://mail.example", mailer));
  const settings = await readFile(join(ROOT, "test/support/wrangler.toml"), "utf8");
  const own = /```toml\n([\s\S]*?)```/.exec(await readFile(join(ROOT, "docs/subscriptions.md"), "utf8"))?.[1] ?? "";
  await writeFile(join(ROOT, page.folder, "wrangler.toml"), `${settings.replace("../../worker/main.ts", worker.name)}\n${own}`);
  edge = await startEdge({ AUTH: "open" }, `${page.folder}/wrangler.toml`);
});
afterAll(async () => {
  await edge?.stop();
  await page?.remove();
  server.close();
});

test("events of the filter are mailed, each by its id", async () => {
  const append = async (type: string) => {
    const id = crypto.randomUUID();
    const body = JSON.stringify({ events: [{ id, type, data: {} }] });
    const { status } = await fetch(`${edge.url}/v1/permits/streams/Permit-1`, { method: "POST", body });
    expect(status).toBe(201);
    return id;
  };
  await append("Requested");
  const granted = await append("Granted");
  await eventually(() => expect(mails).toContainEqual({ key: granted, body: '{"subject":"Permit-1: Granted"}' }));
  expect(mails.filter(({ body }) => body.includes("Requested"))).toEqual([]);
});
