/** What a shape says, as JSON Schema: for `/openapi.json`, so that it can't say anything but what is checked. */
import { ERROR_CODES } from "../../shared/errors.ts";
import { type FieldShape, type Fields, type FieldTerm, isList, isOneOf, type Kind, readTerm, type Text } from "../../shared/wire/shape.ts";

const WHOLE_NUMBER = { type: "integer", minimum: 0 };

const KINDS: Readonly<Record<Kind, object>> = {
  string: { type: "string" },
  boolean: { type: "boolean" },
  number: { type: "number" },
  "whole number": WHOLE_NUMBER,
  version: WHOLE_NUMBER,
  position: WHOLE_NUMBER,
  code: { type: "string", enum: ERROR_CODES },
  expectedVersion: { anyOf: [WHOLE_NUMBER, { enum: ["no-stream", "stream-exists", "any"], type: "string" }] },
  json: {},
  object: { type: "object" },
  unknown: {},
};

export function jsonSchema(shape: FieldShape): object {
  if (typeof shape === "string") return valueSchema(shape);
  if (isList(shape)) return { type: "array", items: jsonSchema(shape[0]) };
  if (!isOneOf(shape)) return objectSchema(shape);
  const [tag, members] = shape;
  return { anyOf: Object.entries(members).map(([name, fields]) => objectSchema({ [tag]: `"${name}"`, ...fields })) };
}

function objectSchema(fields: Fields): object {
  const entries = Object.entries(fields);
  return {
    type: "object",
    properties: Object.fromEntries(entries.map(([name, shape]) => [name, jsonSchema(shape)])),
    required: entries.filter(([, shape]) => !mayBeMissing(shape)).map(([name]) => name),
  };
}

function mayBeMissing(shape: FieldShape): boolean {
  if (typeof shape !== "string") return false;
  const [, mark] = readTerm(shape);
  return mark === "?" || mark === "=";
}

function valueSchema(term: FieldTerm): object {
  const [kind, mark, text] = readTerm(term);
  const schema = isText(kind) ? { const: JSON.parse(kind) } : KINDS[kind];
  if (mark === "|") return { anyOf: [schema, { type: "null" }] };
  return mark === "=" ? { ...schema, default: text } : schema;
}

function isText(kind: Kind | Text): kind is Text {
  return kind.startsWith('"');
}
