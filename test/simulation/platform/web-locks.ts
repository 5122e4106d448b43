/**
 * Web Locks (https://w3c.github.io/web-locks) of one device. The browser keeps the queue of a name, and it grants locks also to a frozen tab.
 * A tab learns of a grant, of a theft and of an answer by a task of its own.
 *
 * Faults:
 * - The browser denies Web Locks for a while, as it does if the person blocks the web page's storage: `deny()`, `allow()`. Worlds don't use
 *   them; `web-locks.test.ts` does.
 * - A tab freezes while it holds a lock or waits for one. It keeps both. The tab's event loop does that.
 * - A tab dies: `end()`. Its locks are released, and its requests leave the queue.
 *
 * Left out: a browser without Web Locks is a tab whose `navigator` has no `locks` (`habits/browser.ts`). A lock that is granted
 * twice, or out of order, is no fault of a browser that follows the standard. A task of a tab may be late, but that is a fault of its event
 * loop.
 */
import type { EventLoop } from "./event-loop.ts";

interface Request {
  readonly tab: Tab;
  readonly name: string;
  readonly mode: LockMode;
  readonly callback: LockGrantedCallback<unknown>;
  readonly signal: AbortSignal | undefined;
  /** Stops listening to the signal. */
  unlisten?: () => void;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

/** The locks of one name. */
interface Queue {
  held: Request[];
  pending: Request[];
}

export class LockManagers {
  readonly #queues = new Map<string, Queue>();
  #tabs = 0;
  /** Whether the browser denies every request and query. */
  isDenied = false;

  /** The `navigator.locks` of one tab. `end` is for when the tab dies. */
  openIn(loop: EventLoop): { locks: LockManager; end(): void } {
    const tab = new Tab(this, loop, `client-${++this.#tabs}`);
    return { locks: tab, end: () => this.#end(tab) };
  }

  /** Denies all further requests with a `SecurityError`. Held locks stay held, and pending requests stay pending. */
  deny(): void {
    this.isDenied = true;
  }

  allow(): void {
    this.isDenied = false;
  }

  queueOf(name: string): Queue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = { held: [], pending: [] };
      this.#queues.set(name, queue);
    }
    return queue;
  }

  /** Grants the requests of a name, in order, up to the first that must wait. */
  process(name: string): void {
    const queue = this.queueOf(name);
    for (let next = queue.pending[0]; next !== undefined && isGrantable(next, queue.held); next = queue.pending[0]) {
      queue.pending.shift();
      queue.held.push(next);
      next.tab.grant(next);
    }
    if (queue.held.length === 0 && queue.pending.length === 0) this.#queues.delete(name);
  }

  /** A lock that was stolen meanwhile is not held any more: nothing happens. */
  release(request: Request): void {
    const queue = this.#queues.get(request.name);
    if (queue?.held.includes(request)) {
      queue.held = queue.held.filter((each) => each !== request);
      this.process(request.name);
    }
  }

  cancel(request: Request): void {
    const queue = this.queueOf(request.name);
    queue.pending = queue.pending.filter((each) => each !== request);
    this.process(request.name);
  }

  snapshot(): LockManagerSnapshot {
    const queues = [...this.#queues.values()];
    return { held: queues.flatMap(({ held }) => held.map(infoOf)), pending: queues.flatMap(({ pending }) => pending.map(infoOf)) };
  }

  #end(tab: Tab): void {
    tab.isEnded = true;
    for (const [name, queue] of [...this.#queues]) {
      for (const request of [...queue.held, ...queue.pending]) if (request.tab === tab) request.unlisten?.();
      queue.held = queue.held.filter((request) => request.tab !== tab);
      queue.pending = queue.pending.filter((request) => request.tab !== tab);
      this.process(name);
    }
  }
}

class Tab implements LockManager {
  readonly #managers: LockManagers;
  readonly #loop: EventLoop;
  readonly clientId: string;
  isEnded = false;

  constructor(managers: LockManagers, loop: EventLoop, clientId: string) {
    this.#managers = managers;
    this.#loop = loop;
    this.clientId = clientId;
  }

  request<T>(name: string, callback: LockGrantedCallback<T>): Promise<Awaited<T>>;
  request<T>(name: string, options: LockOptions, callback: LockGrantedCallback<T>): Promise<Awaited<T>>;
  request(name: string, options: LockOptions | LockGrantedCallback<unknown>, callback?: LockGrantedCallback<unknown>): Promise<unknown> {
    if (typeof options === "function") return this.#request(String(name), {}, options);
    if (typeof callback !== "function") return Promise.reject(new TypeError("a lock is requested without a callback"));
    return this.#request(String(name), options, callback);
  }

  query(): Promise<LockManagerSnapshot> {
    if (this.isEnded) return Promise.reject(inactive());
    const { promise, resolve, reject } = Promise.withResolvers<LockManagerSnapshot>();
    if (this.#managers.isDenied) this.#loop.post(0, () => reject(denial()));
    else {
      const snapshot = this.#managers.snapshot();
      this.#loop.post(0, () => resolve(snapshot));
    }
    return promise;
  }

  /** Runs the callback in the tab. A frozen tab holds the lock before it knows. */
  grant(request: Request): void {
    this.#loop.post(0, () => {
      // Aborted in time: the request's promise is rejected already.
      if (request.signal?.aborted) return this.#managers.release(request);
      request.unlisten?.();
      const { name, mode } = request;
      run(request, { name, mode }, () => this.#managers.release(request));
    });
  }

  /** The tab learns that another one has taken its lock. Its callback may still be running. */
  rob(request: Request): void {
    const message = "Lock broken by another request with the 'steal' option.";
    this.#loop.post(0, () => request.reject(new DOMException(message, "AbortError")));
  }

  #request(name: string, options: LockOptions, callback: LockGrantedCallback<unknown>): Promise<unknown> {
    const { mode = "exclusive", ifAvailable = false, steal = false, signal } = options;
    const wrong = this.isEnded ? inactive() : mistakeIn(name, mode, ifAvailable, steal, signal);
    if (wrong !== undefined) return Promise.reject(wrong);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const request: Request = { tab: this, name, mode, callback, signal, resolve, reject };
    if (this.#managers.isDenied) this.#loop.post(0, () => reject(denial()));
    else this.#enqueue(request, ifAvailable, steal);
    return promise;
  }

  #enqueue(request: Request, ifAvailable: boolean, steal: boolean): void {
    const queue = this.#managers.queueOf(request.name);
    if (ifAvailable && !(queue.pending.length === 0 && isGrantable(request, queue.held))) {
      this.#loop.post(0, () => run(request, null, () => undefined));
      return;
    }
    if (steal) {
      for (const robbed of queue.held) robbed.tab.rob(robbed);
      queue.held = [];
      queue.pending.unshift(request);
    } else queue.pending.push(request);
    this.#listen(request);
    this.#managers.process(request.name);
  }

  #listen(request: Request): void {
    const { signal } = request;
    if (signal === undefined) return;
    const onAbort = () => {
      request.reject(signal.reason);
      this.#managers.cancel(request);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    request.unlisten = () => signal.removeEventListener("abort", onAbort);
  }
}

function isGrantable({ mode }: Request, held: readonly Request[]): boolean {
  return held.length === 0 || (mode === "shared" && held.every((each) => each.mode === "shared"));
}

/** Calls the callback. Whatever it returns settles the request's promise, after the lock was released. */
function run({ callback, resolve, reject }: Request, lock: Lock | null, release: () => void): void {
  let waiting: Promise<unknown>;
  try {
    waiting = Promise.resolve(callback(lock));
  } catch (error) {
    waiting = Promise.reject(error);
  }
  waiting.then(
    (value) => {
      release();
      resolve(value);
    },
    (error: unknown) => {
      release();
      reject(error);
    },
  );
}

function infoOf({ name, mode, tab }: Request): LockInfo {
  return { name, mode, clientId: tab.clientId };
}

function mistakeIn(
  name: string,
  mode: LockMode,
  ifAvailable: boolean,
  steal: boolean,
  signal: AbortSignal | undefined,
): DOMException | TypeError | undefined {
  const unsupported = (message: string) => new DOMException(message, "NotSupportedError");
  if (mode !== "exclusive" && mode !== "shared") return new TypeError(`a lock has no mode ${String(mode)}`);
  if (name.startsWith("-")) return unsupported("Names cannot start with '-'.");
  if (steal && ifAvailable) return unsupported("The 'steal' and 'ifAvailable' options cannot be used together.");
  if (steal && mode !== "exclusive") return unsupported("The 'steal' option may only be used with 'exclusive' locks.");
  if (signal !== undefined && (steal || ifAvailable)) {
    return unsupported("The 'signal' option cannot be used with the 'steal' or the 'ifAvailable' option.");
  }
  return undefined;
}

function inactive(): DOMException {
  return new DOMException("The document is not active.", "InvalidStateError");
}

function denial(): DOMException {
  return new DOMException("Access to the Locks API is denied in this context.", "SecurityError");
}
