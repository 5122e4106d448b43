/** Event types of the worlds' apps, in two versions of the app, and of an edge that knows them. */
import { type AppVersion, commandsOf } from "../models/stock.ts";
import type { Params } from "../params.ts";
import type { Client } from "../platform/bundle.ts";

/** Accepts data with a number as its value, at once or by a promise. */
function schema(isAsync: boolean) {
  const validate = (value: unknown) => {
    const isRight = typeof value === "object" && value !== null && "value" in value && typeof value.value === "number";
    const result = isRight ? { value } : { issues: [{ message: "it has no number", path: ["value"] }] };
    return isAsync ? Promise.resolve(result) : result;
  };
  return { "~standard": { version: 1, vendor: "simulation", validate } } as const;
}

const PLAIN = Object.fromEntries(["Counted", "Noted", "Closed", "Written", "Filled", "Taken"].map((type) => [type, { version: 1 }]));

/** What an app, or an edge, registers by its habits. */
export function registeredTypes(
  module: Pick<Client, "defineEventTypes">,
  { habits }: Params,
  versions: { readonly ofEvents: AppVersion; readonly ofCommands: AppVersion },
) {
  const hasTypes = habits?.includes("types") || habits?.includes("rollout");
  return hasTypes ? eventTypesOf(module, versions.ofEvents, versions.ofCommands) : undefined;
}

/** `Measured` gets a unit in the second version of the app. */
export function eventTypesOf({ defineEventTypes }: Pick<Client, "defineEventTypes">, version: AppVersion, ofCommands: AppVersion = 1) {
  return defineEventTypes(
    {
      ...PLAIN,
      Measured:
        version === 1
          ? { version: 1, schema: schema(false) }
          : { version: 2, schema: schema(false), upcast: { 1: (data) => ({ ...(data as object), unit: "m" }) } },
      Remarked: { version: 1, schema: schema(true) },
    },
    commandsOf(ofCommands),
  );
}
