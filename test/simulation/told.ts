/**
 * When a world heals, what is damaged stays damaged until whoever needs it was told. The checker "silently wrong" says who that is, by what
 * they are told, and within which time. Then the operator repairs it, and the world has to get in step as always.
 */
import { AT_EDGE, ON_DEVICES } from "./checkers/silently-wrong.ts";
import type { Damage } from "./damage.ts";
import type { Edge } from "./edge.ts";
import { apart, type Ground } from "./ground.ts";
import { Inspector } from "./inspector.ts";
import type { Operator } from "./operator.ts";
import type { User } from "./user.ts";

/** Milliseconds between two looks. */
const BETWEEN_LOOKS = 2_000;

export interface ToldParts {
  readonly damage: Damage;
  /** Of the store whose storage is damaged, as the operator. */
  readonly users: readonly User[];
  readonly operator: Operator | undefined;
  runFor(milliseconds: number): void;
}

export function expectTold(ground: Ground & { readonly edge: Edge }, { damage, users, operator, runFor }: ToldParts): void {
  const { broken, store } = damage;
  if (broken === undefined) return;
  const { edge, scheduler, random } = ground;
  const { fault, streamId, events } = broken;
  const place = { streamId, position: events[0]?.position ?? 0 };
  // Half of the time nothing is left in memory of what was there before.
  if (random.fork("told").chance(0.5)) edge.restartAll();
  const healedAt = scheduler.now;
  const inspector = new Inspector(apart(ground, "inspector"), edge, store, broken);
  /** @returns whether all are told */
  const areTold = (who: readonly string[], within: number) => {
    if (who.length > 0 && scheduler.now < healedAt + within) return false;
    ground.observe({ kind: "untold", fault, within, who });
    return true;
  };
  while (!damage.isOver) {
    const atEdge = areTold(inspector.untold, AT_EDGE);
    const behind = users.flatMap((user) => user.untold((scope) => edge.disks.head(store, scope)));
    const subscription = operator?.isUntold(place) === true ? ["the subscription"] : [];
    if (areTold([...behind, ...subscription], ON_DEVICES) && atEdge) break;
    for (const user of users) void user.tend();
    void inspector.ask();
    void operator?.look();
    runFor(BETWEEN_LOOKS);
  }
  while (!damage.repair()) runFor(1);
}
