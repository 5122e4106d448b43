/** Which kinds of answers a recording has, so that nobody compares nothing. */
import type { Answer, Exchange, Item } from "./recording.ts";

type Counts = Record<string, number>;

// biome-ignore lint/suspicious/noExplicitAny: whatever an edge has said
type Said = any;

export function addKinds(counts: Counts, items: readonly Item[]): void {
  const add = (kind: string) => {
    counts[kind] = (counts[kind] ?? 0) + 1;
  };
  for (const item of items) {
    if (item.kind === "exchange") for (const kind of kindsOf(item)) add(kind);
    else if (item.kind === "down") add(`socket: ${kindOfMessage(item.data)}`);
    else if (item.kind === "piece") add("events of a stream");
    else if (item.kind === "replaced") add(item.copy === undefined ? "a store is wiped" : "a store is restored");
  }
}

function kindsOf({ method, url, answer }: Exchange): readonly string[] {
  if (answer === undefined) return [];
  const { status } = answer;
  const said = saidIn(answer);
  if (status === 101) return ["101"];
  if (status >= 400) return [`${status} ${said?.code}`];
  if (said === undefined) return [`${status}`];
  if (method === "POST") return url.endsWith("/commits") ? kindsOfPush(said) : [said.duplicate ? "appended before" : "appended"];
  return kindsOfRead(new URL(url), said);
}

function saidIn({ text }: Answer): Said {
  return text?.startsWith("{") === true ? JSON.parse(text) : undefined;
}

function kindsOfPush({ results }: Said): readonly string[] {
  return results.map(({ status, code }: Said) => ["push:", status, ...(status === "rejected" ? [code] : [])].join(" "));
}

function kindsOfRead({ pathname, searchParams }: URL, said: Said): readonly string[] {
  if (pathname.endsWith("/feed")) {
    const parts = ["within", "category", "stream", "type", "correlation", "since", "mark", "seen"].filter((name) => searchParams.has(name));
    const has = said.events.length > 0 ? "page" : "empty page";
    return [has, ...parts.map((name) => `${has} with ${name}`)];
  }
  if (pathname.endsWith("/streams")) return [said.next === null ? "last list of streams" : "list of streams"];
  if (pathname.includes("/streams/")) return [`stream ${searchParams.get("direction") ?? "forwards"}`];
  return [pathname.split("/").at(-1) ?? ""];
}

function kindOfMessage(text: string): string {
  if (!text.startsWith("{")) return text;
  const said: Said = JSON.parse(text);
  if ("problem" in said) return said.problem.code;
  return "renewed" in said ? "renewed" : "page";
}
