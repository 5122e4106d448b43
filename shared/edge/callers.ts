/** Who is counted as one caller where the edge limits what each of them may do, and how many feed sockets they may have. */

/** Feed sockets of one store; the platform's own limit is 32,768. */
const SOCKETS = 20_000;
/** Feed sockets of one caller to a store. */
const SOCKETS_OF_A_CALLER = 100;
/** Feed sockets of all callers without an actor together, to a store: addresses cost nothing, so they must leave room for the others. */
const UNNAMED_SOCKETS = 10_000;

/**
 * The name by which a caller is counted: the actor, or the address of a caller that has none. Of an IPv6 address the network counts, as its
 * first 64 bits name it, since whoever has one address there has all of them (RFC 6177).
 *
 * @param address as the platform gives it; null if it gives none
 */
export function callerOf(actor: string | null, address: string | null): string {
  return actor === null ? `address:${networkOf(address ?? "unknown")}` : `actor:${actor}`;
}

function networkOf(address: string): string {
  const [, mapped] = /^(?:::|(?:0+:){5})ffff:([\d.]+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  if (!address.includes(":")) return address;
  const [before = "", after = ""] = address.toLowerCase().split("::");
  const groups = before === "" ? [] : before.split(":");
  const last = after === "" ? [] : after.split(":");
  while (groups.length + last.length + (after.includes(".") ? 1 : 0) < 8) groups.push("0");
  return `${[...groups, ...last]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

/** The feed sockets that are open to a store. */
export interface OpenSockets {
  readonly all: number;
  /** Of the same caller. */
  readonly ofCaller: number;
  /** Of all callers without an actor. */
  readonly unnamed: number;
}

/** Why a caller may not open one more feed socket, and what to do; undefined if they may. */
export function socketRefusal({ all, ofCaller, unnamed }: OpenSockets, actor: string | null): string | undefined {
  if (all >= SOCKETS) return `The store has ${SOCKETS} open feed sockets, the most it may have: try again later.`;
  if (ofCaller >= SOCKETS_OF_A_CALLER) {
    const who = actor === null ? "Callers without an actor at this address have" : "This actor has";
    return `${who} ${SOCKETS_OF_A_CALLER} open feed sockets to the store, the most that are allowed: close one first.`;
  }
  if (actor === null && unnamed >= UNNAMED_SOCKETS) {
    return `Callers without an actor have ${UNNAMED_SOCKETS} open feed sockets to the store, the most that are allowed: try again later, or send a token with a sub.`;
  }
  return undefined;
}
