/** WebKitGTK's small browser on a display of its own, driven over WebDriver (https://www.w3.org/TR/webdriver2). */
import { findWebKit } from "../../../scripts/engines.mjs";
import { freePort } from "../edge.ts";
import type { Driven } from "./driven.ts";
import { type Killable, ProcessGroup } from "./group.ts";
import { profileEnv, removeProfile, temporaryProfile } from "./profile.ts";

/** Not under automation, which would keep nothing. @param profile the folder that it keeps its data in */
export async function startWebKit(profile: string, url: string): Promise<Killable> {
  const { server, env } = await startDisplay();
  const browser = new ProcessGroup(found().browser, [url], { ...env, ...profileEnv(profile) });
  return {
    kill: async () => {
      await browser.kill();
      await server.kill();
    },
  };
}

export async function driveWebKit(): Promise<Driven> {
  await using parts = new AsyncDisposableStack();
  const profile = await temporaryProfile();
  parts.defer(() => removeProfile(profile));
  const { server, env } = await startDisplay();
  parts.defer(() => server.kill());
  const port = await freePort();
  const driver = new ProcessGroup(found().driver, ["--host=127.0.0.1", `--port=${port}`], { ...env, ...profileEnv(profile) });
  const send = (method: string, path: string, body?: object) => sendTo(`http://127.0.0.1:${port}${path}`, method, body);
  parts.defer(() => driver.kill());
  // Refused: it does not listen yet.
  await driver.until(() => send("GET", "/status").catch(() => null));
  const browserOptions = { binary: found().browser, args: ["--automation"] };
  const wanted = { alwaysMatch: { pageLoadStrategy: "none", "webkitgtk:browserOptions": browserOptions } };
  const { sessionId, capabilities } = await send("POST", "/session", { capabilities: wanted });
  const all = parts.move();
  return {
    version: capabilities?.browserVersion ?? "",
    open: async (url) => {
      await send("POST", `/session/${sessionId}/url`, { url });
    },
    close: () => all.disposeAsync(),
  };
}

/** A display without a screen. */
async function startDisplay(): Promise<{ readonly server: ProcessGroup; readonly env: Readonly<Record<string, string>> }> {
  const server = new ProcessGroup(found().displayServer, ["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]);
  const [, number] = await server.printed(/^(\d+)\n/m);
  return { server, env: { DISPLAY: `:${number}` } };
}

interface Session {
  readonly sessionId?: string;
  readonly capabilities?: { readonly browserVersion: string };
}

async function sendTo(url: string, method: string, body?: object): Promise<Session> {
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`WebKit's driver: ${value.error}: ${value.message}`);
  return value ?? {};
}

function found(): NonNullable<ReturnType<typeof findWebKit>> {
  const webkit = findWebKit();
  if (webkit === undefined) throw new Error("WebKit is not installed.");
  return webkit;
}
