/**
 * What Headwater uses of a schema: Standard Schema, version 1 (https://standardschema.dev), which valibot, zod, arktype and others
 * are of. Typed here: the package of its types names promises, and `shared/` has none. Whoever asks a schema waits for its answer, and
 * brings it here.
 */
export interface StandardSchema<Input = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    /** Answers what `refusalOf` reads, or a promise of it. */
    readonly validate: (value: unknown) => unknown;
    /** In types only. */
    readonly types?: { readonly input: Input; readonly output: unknown } | undefined;
  };
}

/** How asking a schema ended. */
export type Settled = { readonly status: "fulfilled"; readonly value: unknown } | { readonly status: "rejected"; readonly reason: unknown };

export interface SchemaRefusal {
  readonly message: string;
  /** Where in the value, e.g. `.lines[2].price`; empty where it is the whole. */
  readonly path: string;
}

export function isStandardSchema(value: unknown): value is StandardSchema {
  // A schema may be a function, too.
  if ((typeof value !== "object" && typeof value !== "function") || value === null || !("~standard" in value)) return false;
  const standard = value["~standard"];
  if (typeof standard !== "object" || standard === null) return false;
  return "version" in standard && standard.version === 1 && "validate" in standard && typeof standard.validate === "function";
}

/** Undefined where the schema accepts. One that fails, or answers nothing that can be read, accepts nothing. */
export function refusalOf(settled: Settled): SchemaRefusal | undefined {
  if (settled.status === "rejected") return { message: `the schema failed: ${settled.reason}`, path: "" };
  const answer = settled.value;
  if (typeof answer !== "object" || answer === null) return { message: "the schema gave no answer", path: "" };
  if (!("issues" in answer) || answer.issues === undefined) return undefined;
  const issue: unknown = Array.isArray(answer.issues) ? answer.issues[0] : undefined;
  if (typeof issue !== "object" || issue === null) return { message: "the schema gave no reason", path: "" };
  const message = "message" in issue ? String(issue.message) : "the schema gave no reason";
  return { message, path: "path" in issue && Array.isArray(issue.path) ? issue.path.map(stepText).join("") : "" };
}

/** A step is a key, or an object that has it. */
function stepText(step: unknown): string {
  const key = typeof step === "object" && step !== null && "key" in step ? step.key : step;
  return typeof key === "number" ? `[${key}]` : `.${String(key)}`;
}
