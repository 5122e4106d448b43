/**
 * What Cloudflare would bill for some work, over all objects: https://developers.cloudflare.com/durable-objects/platform/pricing/.
 * An object's methods are called only from outside. So each call of an object is a request, and so is each alarm that runs.
 */
import { env, runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import { IndexObject } from "../../worker/log/index-object.ts";
import { LogObject } from "../../worker/log/log-object.ts";
import { StreamObject } from "../../worker/stream/stream-object.ts";
import { SubscriptionObject } from "../../worker/subscription/subscription-object.ts";

export interface Bill {
  /** An alarm that is set counts as one, and so does a value of the key-value store. */
  rowsWritten: number;
  rowsRead: number;
  /** By class and method. A message of a WebSocket is a twentieth of one. */
  requests: Record<string, number>;
  /** Alarms that were set. */
  alarms: number;
}

type Method = (...args: unknown[]) => unknown;

/** Alarms are put off by so many milliseconds: none runs but where a test has it run, however slow the machine is. */
const HOUR = 3_600_000;

export async function billOf(work: () => Promise<unknown>): Promise<Bill> {
  const bill: Bill = { rowsWritten: 0, rowsRead: 0, requests: {}, alarms: 0 };
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  // The platform's classes have no names of their own to be found by; any object's storage leads to them.
  await runInDurableObject(env.STREAMS.getByName("any"), (_, { storage }) => {
    const sql = Object.getPrototypeOf(storage.sql);
    const { exec } = sql;
    vi.spyOn(sql, "exec").mockImplementation(function (this: unknown, ...args: unknown[]) {
      const cursor = exec.apply(this, args);
      cursors.push(cursor);
      return cursor;
    });
    const kv = Object.getPrototypeOf(storage.kv);
    const { list, put } = kv;
    vi.spyOn(kv, "put").mockImplementation(function (this: unknown, ...args: unknown[]) {
      bill.rowsWritten++;
      return put.apply(this, args);
    });
    vi.spyOn(kv, "list").mockImplementation(function* (this: unknown, ...args: unknown[]) {
      for (const entry of list.apply(this, args)) {
        bill.rowsRead++;
        yield entry;
      }
    });
    const prototype = Object.getPrototypeOf(storage);
    const { setAlarm } = prototype;
    vi.spyOn(prototype, "setAlarm").mockImplementation(function (this: unknown, ...[time]: unknown[]) {
      bill.alarms++;
      return setAlarm.call(this, Math.max(Number(time), Date.now() + HOUR));
    });
  });
  const prototypes = {
    stream: StreamObject.prototype,
    log: LogObject.prototype,
    index: IndexObject.prototype,
    subscription: SubscriptionObject.prototype,
  };
  for (const [name, prototype] of Object.entries(prototypes)) {
    const methods: Record<string, Method> = prototype as object as Record<string, Method>;
    for (const method of Object.getOwnPropertyNames(prototype)) {
      const original = methods[method];
      if (original === undefined || method === "constructor" || method === "settings") continue;
      vi.spyOn(methods, method).mockImplementation(function (this: unknown, ...args: unknown[]) {
        const key = `${name}.${method}`;
        bill.requests[key] = (bill.requests[key] ?? 0) + 1;
        return original.apply(this, args);
      });
    }
  }
  await work();
  vi.restoreAllMocks();
  for (const { rowsRead, rowsWritten } of cursors) {
    bill.rowsRead += rowsRead;
    bill.rowsWritten += rowsWritten;
  }
  bill.rowsWritten += bill.alarms;
  return bill;
}
