/**
 * Makes the world of a failure smaller while the same checker still fails: fewer faults, fewer devices, tabs, streams and acts, less time.
 * A smaller world draws other numbers, so a few seeds of each are tried.
 */
import type { Fault } from "./faults.ts";
import type { Params } from "./params.ts";
import type { Product } from "./platform/bundle.ts";
import { runInTask } from "./run.ts";

/** A failure that was found once; kept in `regressions/`, and run first from then on. */
export interface Regression {
  /** What was wrong. */
  readonly note: string;
  /** Which checker found it. */
  readonly by: string;
  readonly message: string;
  readonly params: Params;
}

/** Seeds that are tried of a smaller world. */
const SEEDS = 20;
/** Worlds in all. */
const MOST = 2000;

export async function shrink(params: Params, by: string, product: Product, note = ""): Promise<Regression> {
  let runs = 0;
  const failsWith = async (candidate: Params): Promise<string | undefined> => {
    runs++;
    const { failure } = await runInTask(candidate, product);
    return failure?.by === by ? failure.message : undefined;
  };
  let smallest = params;
  let message = (await failsWith(params)) ?? "";
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const candidate of smaller(smallest)) {
      for (let i = 0; i < SEEDS && runs < MOST; i++) {
        const tried = { ...candidate, seed: i === 0 ? smallest.seed : i };
        const found = await failsWith(tried);
        if (found === undefined) continue;
        smallest = tried;
        message = found;
        isSmaller = true;
        break;
      }
      if (isSmaller) break;
    }
  }
  return { note, by, message, params: smallest };
}

function smaller(params: Params): readonly Params[] {
  const { faults, devices, tabs, streams, actions, minutes, hasTenant, hasStock, isGuarded, scope, rule, isAutomatic, tooMany } = params;
  const names = Object.keys(faults) as Fault[]; // the keys of a literal type
  const candidates: Partial<Params>[] = [
    { faults: {} },
    ...names.map((name) => ({ faults: without(faults, name) })),
    ...(devices > 1 ? [{ devices: 1 }, { devices: devices - 1 }] : []),
    ...(tabs > 1 ? [{ tabs: 1 }, { tabs: tabs - 1 }] : []),
    ...(streams > 1 ? [{ streams: 1 }, { streams: streams - 1 }] : []),
    ...(hasTenant ? [{ hasTenant: false }] : []),
    ...(hasStock ? [{ hasStock: false }] : []),
    ...(isGuarded ? [{ isGuarded: false }] : []),
    ...(scope === "all" ? [] : [{ scope: "all" as const }]),
    ...(rule === "park" ? [] : [{ rule: "park" as const }]),
    ...(params.habits ?? []).map((name) => ({ habits: params.habits?.filter((other) => other !== name) })),
    ...(isAutomatic ? [] : [{ isAutomatic: true }]),
    ...(tooMany < 100 ? [{ tooMany: 100 }] : []),
    ...(actions > 2 ? [{ actions: Math.floor(actions / 2) }, { actions: Math.floor(actions * 0.8) }] : []),
    ...(minutes > 0.2 ? [{ minutes: minutes / 4 }, { minutes: minutes * 0.7 }] : []),
  ];
  return candidates.map((candidate) => ({ ...params, ...candidate }));
}

function without(faults: Params["faults"], name: Fault): Params["faults"] {
  const { [name]: _, ...others } = faults;
  return others;
}
