/**
 * The part of a schema that Headwater uses: Standard Schema, version 1 (https://standardschema.dev), which valibot, zod, arktype and
 * others implement. The types are written here because the package with its types uses promises, and `shared/` has none. The caller runs
 * a schema, waits for its result, and passes it to `refusalOf`.
 */
export interface StandardSchema<Input = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    /** Returns what `refusalOf` reads, or a promise of it. */
    readonly validate: (value: unknown) => unknown;
    /** In types only. */
    readonly types?: { readonly input: Input; readonly output: unknown } | undefined;
  };
}

/** How running a schema ended. */
export type Settled = { readonly status: "fulfilled"; readonly value: unknown } | { readonly status: "rejected"; readonly reason: unknown };

export interface SchemaRefusal {
  readonly message: string;
  /** The place in the value, e.g. `.lines[2].price`; empty for the whole value. */
  readonly path: string;
}

export function isStandardSchema(value: unknown): value is StandardSchema {
  // A schema may also be a function.
  if ((typeof value !== "object" && typeof value !== "function") || value === null || !("~standard" in value)) return false;
  const standard = value["~standard"];
  if (typeof standard !== "object" || standard === null) return false;
  return "version" in standard && standard.version === 1 && "validate" in standard && typeof standard.validate === "function";
}

/** Why the schema rejects the value; undefined if it accepts it. A schema that fails, or returns no readable result, accepts nothing. */
export function refusalOf(settled: Settled): SchemaRefusal | undefined {
  if (settled.status === "rejected") return { message: `the schema failed: ${settled.reason}`, path: "" };
  const answer = settled.value;
  if (typeof answer !== "object" || answer === null) return { message: "the schema returned no result", path: "" };
  if (!("issues" in answer) || answer.issues === undefined) return undefined;
  const issue: unknown = Array.isArray(answer.issues) ? answer.issues[0] : undefined;
  if (typeof issue !== "object" || issue === null) return { message: "the schema returned no message", path: "" };
  const message = "message" in issue ? String(issue.message) : "the schema returned no message";
  return { message, path: "path" in issue && Array.isArray(issue.path) ? issue.path.map(stepText).join("") : "" };
}

/** A step of an issue's path is a key, or an object with the field `key`. */
function stepText(step: unknown): string {
  const key = typeof step === "object" && step !== null && "key" in step ? step.key : step;
  return typeof key === "number" ? `[${key}]` : `.${String(key)}`;
}
