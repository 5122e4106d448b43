/**
 * The web page of one tab: `document`, `navigator` and the events of the window, limited to what the product uses. The world calls `hide`,
 * `goOffline` and the like. Each of them is a task of the tab. So a frozen tab learns of all of them when it thaws, in order.
 *
 * Faults:
 * - The tab goes to the background and comes back: `hide()`, `show()`. The product polls less in the background.
 * - The browser thinks that the device is offline, or online, true or not: `goOffline()`, `goOnline()`.
 * - The browser refuses persistent storage, or the person takes their time to answer: `persistence`.
 *
 * Left out: `freeze`, `resume`, `pagehide` and `pageshow`, to which the product does not listen. The event loop
 * of the tab freezes and kills it. A browser without Web Locks is a page without `locks`, one without StorageManager a page without `persistence`.
 */
import type { EventLoop } from "./event-loop.ts";
import { Target } from "./event-target.ts";

/** How the browser answers `navigator.storage.persist()`. */
export interface Persistence {
  readonly isPersisted: boolean;
  readonly isGranted: boolean;
  /** Milliseconds that the person needs to answer. */
  readonly answersAfter: number;
}

export interface PageOptions {
  readonly locks?: LockManager;
  readonly persistence?: Persistence;
}

/** What of a page's globals comes from here, with the types that the product sees. */
export interface PageGlobals {
  readonly document: Document;
  readonly navigator: Navigator;
  readonly addEventListener: typeof addEventListener;
  readonly removeEventListener: typeof removeEventListener;
}

export class Page {
  readonly #loop: EventLoop;
  readonly #options: PageOptions;
  readonly #document: PageDocument;
  readonly #window: PageTarget;
  #isOnline = true;

  constructor(loop: EventLoop, options: PageOptions = {}) {
    this.#loop = loop;
    this.#options = options;
    this.#document = new PageDocument(loop);
    this.#window = new PageTarget(loop);
  }

  globals(): PageGlobals {
    const target = this.#window;
    return {
      // The page has the part of each that the product uses.
      document: this.#document as unknown as Document,
      navigator: this.#navigator() as unknown as Navigator,
      addEventListener: target.addEventListener.bind(target),
      removeEventListener: target.removeEventListener.bind(target),
    };
  }

  hide(): void {
    this.#loop.post(0, () => this.#document.turn("hidden"));
  }

  show(): void {
    this.#loop.post(0, () => this.#document.turn("visible"));
  }

  goOnline(): void {
    this.#loop.post(0, () => this.#connect(true));
  }

  goOffline(): void {
    this.#loop.post(0, () => this.#connect(false));
  }

  #connect(isOnline: boolean): void {
    if (this.#isOnline === isOnline) return;
    this.#isOnline = isOnline;
    this.#window.announce(isOnline ? "online" : "offline");
  }

  #navigator(): object {
    const { locks, persistence } = this.#options;
    const page = this;
    return {
      get onLine() {
        return page.#isOnline;
      },
      ...(locks === undefined ? {} : { locks }),
      ...(persistence === undefined ? {} : { storage: new PageStorage(this.#loop, persistence) }),
    };
  }
}

class PageTarget extends Target {
  announce(type: string): void {
    this.fire({ type });
  }
}

class PageDocument extends PageTarget {
  visibilityState: DocumentVisibilityState = "visible";

  get hidden(): boolean {
    return this.visibilityState === "hidden";
  }

  turn(state: DocumentVisibilityState): void {
    if (this.visibilityState === state) return;
    this.visibilityState = state;
    this.announce("visibilitychange");
  }
}

class PageStorage {
  readonly #loop: EventLoop;
  readonly #persistence: Persistence;
  #isPersisted: boolean;

  constructor(loop: EventLoop, persistence: Persistence) {
    this.#loop = loop;
    this.#persistence = persistence;
    this.#isPersisted = persistence.isPersisted;
  }

  persisted(): Promise<boolean> {
    return this.#answer(0, () => this.#isPersisted);
  }

  persist(): Promise<boolean> {
    const { answersAfter, isGranted } = this.#persistence;
    return this.#answer(this.#isPersisted ? 0 : answersAfter, () => {
      this.#isPersisted ||= isGranted;
      return this.#isPersisted;
    });
  }

  #answer(milliseconds: number, answer: () => boolean): Promise<boolean> {
    return new Promise((resolve) => this.#loop.post(milliseconds, () => resolve(answer())));
  }
}
