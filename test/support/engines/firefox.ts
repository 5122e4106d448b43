/** Firefox, headless, with a profile of its own; driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi). */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findFirefox } from "../../../scripts/engines.mjs";
import type { Driven } from "./driven.ts";
import { ProcessGroup } from "./group.ts";
import { removeProfile, temporaryProfile } from "./profile.ts";

/** It asks nothing, fetches nothing by itself, and starts after a kill as it always does. */
const PREFERENCES = {
  "app.update.auto": false,
  "app.normandy.enabled": false,
  "browser.aboutwelcome.enabled": false,
  "browser.sessionstore.resume_from_crash": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.startup.max_resumed_crashes": -1,
};

/** @param args e.g. the URL of its first page */
export async function startFirefox(profile: string, ...args: readonly string[]): Promise<ProcessGroup> {
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
  await writeFile(join(profile, "user.js"), lines.join(""));
  return new ProcessGroup(findFirefox() ?? "firefox", ["--headless", "--no-remote", "--profile", profile, ...args]);
}

export async function driveFirefox(): Promise<Driven> {
  await using parts = new AsyncDisposableStack();
  const profile = await temporaryProfile();
  parts.defer(() => removeProfile(profile));
  const browser = await startFirefox(profile, "--remote-debugging-port", "0");
  parts.defer(() => browser.kill());
  const [, address] = await browser.printed(/WebDriver BiDi listening on (ws:\/\/\S+)/);
  const bidi = await Bidi.connect(`${address}/session`);
  const { capabilities } = await bidi.send<{ capabilities: { readonly browserVersion: string } }>("session.new", { capabilities: {} });
  const { contexts } = await bidi.send<{ contexts: readonly { readonly context: string }[] }>("browsingContext.getTree", {});
  const all = parts.move();
  return {
    version: capabilities.browserVersion,
    open: async (url) => {
      await bidi.send("browsingContext.navigate", { context: contexts[0]?.context, url, wait: "complete" });
    },
    close: () => all.disposeAsync(),
  };
}

type Answer =
  | { readonly type: "success"; readonly id: number; readonly result: unknown }
  | { readonly type: "error"; readonly id: number; readonly message: string }
  | { readonly type: "event" };

class Bidi {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#answered(JSON.parse(String(data))));
    socket.addEventListener("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("Firefox has closed the connection."));
    });
  }

  static async connect(url: string): Promise<Bidi> {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", () => reject(new Error(`No connection to ${url}.`)));
    });
    return new Bidi(socket);
  }

  send<Result>(method: string, params: object): Promise<Result> {
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(++this.#last, waiting);
    this.#socket.send(JSON.stringify({ id: this.#last, method, params }));
    return waiting.promise as Promise<Result>;
  }

  #answered(answer: Answer): void {
    if (answer.type === "event") return;
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.type === "success") waiting?.resolve(answer.result);
    else waiting?.reject(new Error(answer.message));
  }
}
