/** A schema of the wire as JSON Schema, for `/openapi.json`. So the description can't differ from what is checked. */
import { type OverrideSchemaContext, toJsonSchema } from "@valibot/to-json-schema";
import { ERROR_CODES } from "../../shared/errors.ts";
import { code, expectedVersion, json, metadata, position, type Schema, version, wholeNumber } from "../../shared/wire/schema.ts";

const WHOLE_NUMBER = { type: "integer", minimum: 0 } as const;

/** JSON Schemas of the schemas that check by a function of our own: valibot can't describe these. */
const OURS = new Map<unknown, OverrideSchemaContext["jsonSchema"]>([
  [wholeNumber, WHOLE_NUMBER],
  [version, WHOLE_NUMBER],
  [position, WHOLE_NUMBER],
  [code, { type: "string", enum: [...ERROR_CODES] }],
  [expectedVersion, { anyOf: [WHOLE_NUMBER, { enum: ["no-stream", "stream-exists", "any"], type: "string" }] }],
  [json, {}],
  [metadata, { type: "object" }],
]);

/** Without `$schema`, because OpenAPI 3.1 has its own dialect of JSON Schema. */
export function jsonSchema(schema: Schema<unknown>): object {
  const { $schema, ...described } = toJsonSchema(schema, { overrideSchema });
  return described;
}

function overrideSchema({ valibotSchema, jsonSchema: { oneOf, ...rest } }: OverrideSchemaContext): OverrideSchemaContext["jsonSchema"] {
  const ours = OURS.get(valibotSchema);
  if (ours !== undefined) return ours;
  // `anyOf` is enough: by its tag, an object can match only one of them.
  return oneOf === undefined ? rest : { ...rest, anyOf: oneOf };
}
