/** The variables of a deployment. A wrong one is logged with what to do, since nobody calls the edge with them who could get an error. */
import type * as option from "../../shared/options.ts";
import type { EdgeEnv } from "../env.ts";
import { logSettingsFault } from "../report/journal.ts";

const someText: option.Option = { what: "a text", accepts: (value) => typeof value === "string" };

type Variable = Exclude<keyof EdgeEnv, "STREAMS" | "LOGS" | "SUBSCRIPTIONS" | "RATE_LIMITER">;

/** `AUTH`, `ALLOWED_HEADERS` and `ALLOW_CREDENTIALS` have stricter checks of their own where they are read. */
export const VARIABLES: Readonly<Record<Variable, option.Option>> = {
  AUTH: someText,
  JWT_SECRET: someText,
  JWT_JWKS: someText,
  JWT_ISSUER: someText,
  JWT_AUDIENCE: someText,
  ALLOWED_ORIGINS: { what: "origins such as https://app.example.com, without a path, separated by commas", accepts: areOrigins },
  ALLOWED_HEADERS: someText,
  ALLOW_CREDENTIALS: someText,
  LOG: { what: '"faults" or "all"', accepts: (value) => value === "faults" || value === "all" || value === "" },
};

const checked = new WeakSet<object>();

/** Logs each wrong variable, once for each isolate. */
export function checkVariables(env: EdgeEnv): void {
  if (checked.has(env)) return;
  checked.add(env);
  for (const [name, { what, accepts }] of Object.entries(VARIABLES)) {
    const value: unknown = Reflect.get(env, name);
    if (value !== undefined && !accepts(value)) logSettingsFault(`${name} must be ${what}: correct it, or remove it.`);
  }
}

function areOrigins(value: unknown): boolean {
  if (typeof value !== "string") return false;
  const origins = value.split(",").map((origin) => origin.trim());
  return origins.every((origin) => origin === "" || URL.parse(origin)?.origin === origin);
}
