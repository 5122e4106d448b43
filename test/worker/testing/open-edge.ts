/** A real edge on the stand-in for its platform, in virtual time. */

import type { SubscriptionDetail } from "../../../shared/wire/wire.ts";
import { createEdge, type EdgeEnv, type EdgeSettings } from "../../../worker/index.ts";
import { NO_FAULTS, type PlatformFaults } from "../../../worker/testing/clock.ts";
import { openPlatform, type Platform } from "../../../worker/testing/objects.ts";
import { loadSqlite } from "../../../worker/testing/sqlite.ts";
import type { ClientSocket } from "../../../worker/testing/web-socket.ts";
import type { Body } from "../edge-calls.ts";
import { TestClock } from "./platform.ts";

interface Answer {
  readonly status: number;
  readonly body: Body & SubscriptionDetail;
}

/** A page, or a problem. */
interface Message {
  readonly events?: readonly { readonly streamId: string }[];
  readonly position?: number;
  readonly problem?: { readonly code: string };
}

export async function openEdge(settings: EdgeSettings = {}, clock = new TestClock()) {
  const faults: { -readonly [K in keyof PlatformFaults]: PlatformFaults[K] } = { ...NO_FAULTS };
  const edge = createEdge(settings);
  const platform: Platform = openPlatform({
    bindings: ["STREAMS", "LOGS", "SUBSCRIPTIONS"],
    classOf: (binding) => (binding === "STREAMS" ? edge.StreamObject : binding === "LOGS" ? edge.LogObject : edge.SubscriptionObject),
    vars: { AUTH: "open", LOG: "faults" },
    clock,
    faults,
    openDatabase: await loadSqlite(),
  });
  const env = platform.env as unknown as EdgeEnv;
  const request = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const response = await edge.fetch(new Request(`https://edge/v1/permits${path}`, init), env);
    return { status: response.status, body: await response.json() };
  };
  const commit = (streamId: string, expectedVersion: number, id: string = crypto.randomUUID()) => ({
    streamId,
    expectedVersion,
    events: [{ id, type: "Noted", data: {} }],
  });
  const push = (...commits: object[]) => request("/commits", { method: "POST", body: JSON.stringify({ commits }) });
  const feed = async () => {
    const { body } = await request("/feed");
    return body.events.map(({ position, streamId, version }) => `#${position} ${streamId}@${version}`);
  };
  const listen = async (more: Record<string, string> = {}) => {
    const headers = { upgrade: "websocket", origin: "https://edge", ...more };
    const response = await edge.fetch(new Request("https://edge/v1/permits/feed", { headers }), env);
    const socket = response.webSocket as unknown as ClientSocket;
    const seen: Message[] = [];
    const closed: number[] = [];
    socket.addEventListener("message", ({ data }) => seen.push(JSON.parse(String(data))));
    socket.addEventListener("close", ({ code }) => closed.push(code));
    socket.accept();
    return { status: response.status, socket, seen, closed };
  };
  return { clock, faults, request, commit, push, feed, listen, platform, logs: platform.objects("LOGS") };
}
