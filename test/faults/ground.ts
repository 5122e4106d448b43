/** What each of these test files uses: an edge, a web page and a browser of its own. */
import type { Page } from "playwright";
import { afterAll, beforeAll } from "vitest";
import { type BrowserProcess, startBrowser } from "../support/browser.ts";
import { type EdgeProcess, startEdge } from "../support/edge.ts";
import { type PageServer, servePage } from "../support/page-server.ts";

export interface Ground {
  readonly edge: EdgeProcess;
  readonly server: PageServer;
  readonly browser: BrowserProcess;
  /** A tab with the page of `page.ts`, and no store open yet. */
  newPage(): Promise<Page>;
}

/** To be called at the top of the file: what starts and ends them is registered where it is called. @param module the page's @param args more arguments of Chromium's */
export function faultGround(module = "test/faults/page.ts", args: readonly string[] = []): Ground {
  let edge: EdgeProcess;
  let server: PageServer;
  let browser: BrowserProcess;
  beforeAll(async () => {
    [edge, server] = await Promise.all([startEdge(), servePage(module)]);
    browser = await startBrowser(undefined, args);
  });
  afterAll(async () => {
    await Promise.all([browser?.stop(), edge?.stop(), server?.close()]);
  });
  return {
    get edge() {
      return edge;
    },
    get server() {
      return server;
    },
    get browser() {
      return browser;
    },
    newPage: async () => {
      const page = await browser.context().newPage();
      await page.goto(server.url);
      await page.waitForFunction(() => window.device !== undefined);
      return page;
    },
  };
}
