/** A browser that shows what a test wants: Vitest's provider for engines that Playwright can't drive as Debian has them. */
import { defineBrowserProvider } from "@vitest/browser";
import type { BrowserProvider, BrowserProviderOption } from "vitest/node";

declare module "vitest/browser" {
  interface BrowserCommands {
    /** Vitest's own, for a provider: the size of the page. */
    __vitest_viewport(size: { readonly width: number; readonly height: number }): Promise<void>;
  }
}

export interface Driven {
  readonly version: string;
  /** In the one page that it has. */
  open(url: string): Promise<void>;
  /** Ends it, and removes what it stored. */
  close(): Promise<void>;
}

class DrivenProvider implements BrowserProvider {
  readonly name = "driven";
  readonly supportsParallelism = false;
  /** Empty until it has opened a page. */
  version = "";
  readonly #start: () => Promise<Driven>;
  #driven: Promise<Driven> | undefined;

  constructor(start: () => Promise<Driven>) {
    this.#start = start;
  }

  getCommandsContext(): Record<string, unknown> {
    return {};
  }

  async openPage(_sessionId: string, url: string): Promise<void> {
    this.#driven ??= this.#start();
    const driven = await this.#driven;
    this.version = driven.version;
    await driven.open(url);
  }

  async close(): Promise<void> {
    // One that did not start left nothing behind, and `openPage` has thrown its error.
    const driven = await this.#driven?.catch(() => undefined);
    this.#driven = undefined;
    await driven?.close();
  }
}

/** @param engines how each is started, by the name that an instance has in `browser` */
export function drivenProvider(engines: Readonly<Record<string, () => Promise<Driven>>>): BrowserProviderOption {
  return defineBrowserProvider({
    name: "driven",
    supportedBrowser: Object.keys(engines),
    providerFactory({ config, browser }) {
      const start = engines[config.browser.name];
      if (start === undefined) throw new Error(`There is no engine ${config.browser.name}.`);
      // Vitest gives every page a size. No test depends on it.
      browser?.registerCommand("__vitest_viewport", async () => undefined);
      return new DrivenProvider(start);
    },
  });
}
