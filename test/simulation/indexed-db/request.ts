/**
 * Requests: `IDBRequest` and `IDBOpenDBRequest`. A request is answered in a task of its tab. It fails with the error of its work, with
 * AbortError if its transaction is aborted first, and with QuotaExceededError if the disk has no room for what it writes.
 */
import { DatabaseEvent, type EventInit, EventSource } from "./events.ts";
import { must } from "./failure.ts";

type Handler = ((event: DatabaseEvent) => void) | null;

export class StoreRequest extends EventSource {
  readonly source: unknown;
  transaction: EventSource | null;
  readyState: "pending" | "done" = "pending";
  onsuccess: Handler = null;
  onerror: Handler = null;
  /** What is done when the request's turn comes. It returns the result or throws a DOMException. */
  work: () => unknown;
  #result: unknown;
  #error: DOMException | null = null;

  constructor(source: unknown, transaction: EventSource | null, work: () => unknown) {
    super();
    this.source = source;
    this.transaction = transaction;
    this.work = work;
  }

  override get parent(): EventSource | undefined {
    return this.transaction ?? undefined;
  }

  get result(): unknown {
    must(this.readyState === "done", "InvalidStateError", "The request has not finished.");
    return this.#result;
  }

  get error(): DOMException | null {
    must(this.readyState === "done", "InvalidStateError", "The request has not finished.");
    return this.#error;
  }

  settle(result: unknown, error: DOMException | null = null): void {
    this.readyState = "done";
    this.#result = result;
    this.#error = error;
  }

  /** Returns what the listeners threw. */
  succeed(result: unknown, event = new DatabaseEvent("success")): unknown[] {
    this.settle(result);
    return this.dispatch(event);
  }

  get [Symbol.toStringTag](): string {
    return "IDBRequest";
  }
}

const FAILED: EventInit = { bubbles: true, cancelable: true };

export function errorEvent(): DatabaseEvent {
  return new DatabaseEvent("error", FAILED);
}

export class OpenRequest extends StoreRequest {
  onblocked: Handler = null;
  onupgradeneeded: Handler = null;

  constructor() {
    super(null, null, () => undefined);
  }

  /** Errors of an upgrade's transaction don't reach the request that opens the database, nor the other way round. */
  override get parent(): undefined {
    return undefined;
  }

  override get [Symbol.toStringTag](): string {
    return "IDBOpenDBRequest";
  }
}
