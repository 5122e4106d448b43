/**
 * Controls the page of a browser without a driver, so that any browser will do, killed and started again as often as a test likes. The page
 * asks what to call (`remote-page.ts`), and sends what became of it and what it reports.
 *
 * A page reports an append when that has resolved: a kill can lose reports that are on their way, but make none up.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { type PageServer, servePage } from "../support/page-server.ts";
import type { Device, Report } from "./page.ts";

/** For a page to come after its browser was started, in milliseconds. */
const LONGEST_START = 60_000;

export type Method = { [Name in keyof Device]: Device[Name] extends (...args: never[]) => unknown ? Name : never }[keyof Device];

export interface Call {
  readonly id: number;
  readonly method: Method;
  readonly args: readonly never[];
}

export type Outcome = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: string };

export class RemotePage {
  readonly reports: Report[] = [];
  readonly heard: Record<Report["kind"], number> = { appended: 0, refused: 0, applied: 0 };
  readonly #calls: Call[] = [];
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #asking: ServerResponse | undefined;
  #last = 0;
  #check = () => {};
  #onAsked = () => {};

  /** Calls a method of the page's device. Never settles if the page is gone. */
  call<Name extends Method>(method: Name, ...args: Parameters<Device[Name]>): Promise<Awaited<ReturnType<Device[Name]>>> {
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(++this.#last, waiting);
    this.#calls.push({ id: this.#last, method, args: args as never[] });
    this.#answer();
    return waiting.promise as Promise<Awaited<ReturnType<Device[Name]>>>;
  }

  /** Resolves at once when so many reports of a kind have arrived. For one who waits at a time. */
  until(kind: Report["kind"], count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#check = () => {
        if (this.heard[kind] >= count) resolve();
      };
      this.#check();
    });
  }

  /** Resolves when the page asks what to call next, not before: it does so again if the process that sends its requests has ended. */
  askedAgain(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAsked = resolve;
    });
  }

  /** @internal */
  asked(response: ServerResponse): void {
    this.#asking = response;
    this.#onAsked();
    this.#answer();
  }

  /** @internal */
  done(outcome: Outcome): void {
    const waiting = this.#waiting.get(outcome.id);
    this.#waiting.delete(outcome.id);
    if ("error" in outcome) waiting?.reject(new Error(outcome.error));
    else waiting?.resolve(outcome.value);
  }

  /** @internal */
  hear(report: Report): void {
    this.reports.push(report);
    this.heard[report.kind]++;
    this.#check();
  }

  #answer(): void {
    if (this.#asking === undefined) return;
    const call = this.#calls.shift();
    if (call === undefined) return;
    this.#asking.end(JSON.stringify(call));
    this.#asking = undefined;
  }
}

export class RemoteControl {
  #server: PageServer | undefined;
  /** By their ids: what a killed page has sent may be read after its successor has come. */
  readonly #pages = new Map<string, RemotePage>();
  #next = Promise.withResolvers<RemotePage>();

  static async start(): Promise<RemoteControl> {
    const control = new RemoteControl();
    control.#server = await servePage("test/faults/remote-page.ts", (request, response) => control.#handle(request, response));
    return control;
  }

  /** Starts a browser by `start`, and resolves with the page that it shows. */
  async pageOf(start: (url: string) => Promise<void>): Promise<RemotePage> {
    const next = Promise.withResolvers<RemotePage>();
    this.#next = next;
    const timer = setTimeout(() => next.reject(new Error("The browser did not load the page.")), LONGEST_START);
    try {
      await start(this.#server?.url ?? "");
      return await next.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://127.0.0.1");
    const body = await text(request);
    const page = this.#pageNamed(searchParams.get("page") ?? "");
    if (pathname === "/next") return page.asked(response);
    if (pathname === "/report") page.hear(JSON.parse(body));
    else page.done(JSON.parse(body));
    response.end();
  }

  #pageNamed(id: string): RemotePage {
    const known = this.#pages.get(id);
    if (known !== undefined) return known;
    const page = new RemotePage();
    this.#pages.set(id, page);
    this.#next.resolve(page);
    return page;
  }
}
