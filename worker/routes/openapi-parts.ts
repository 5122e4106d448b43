/** The parts that `/openapi.json` is made of: parameters, bodies and answers. */
import { type ErrorCode, titleOf } from "../../shared/errors.ts";
import type { Schema } from "../../shared/wire/schema.ts";
import * as wire from "../../shared/wire/wire.ts";
import { STATUS } from "../report/problem.ts";
import { jsonSchema } from "./json-schema.ts";

export type Parameter = { name: string; in: "path" | "query" | "header"; required?: boolean; description: string; schema: object };

export function body(schema: object): object {
  return { required: true, content: { "application/json": { schema } } };
}

/** The schema of an object, with more detail on some of its properties. */
export function describing(schema: { properties?: object }, properties: object): object {
  return { ...schema, properties: { ...schema.properties, ...properties } };
}

export function answer(description: string, schema: Schema<unknown>): object {
  return answerOf(description, jsonSchema(schema));
}

export function answerOf(description: string, schema: object): object {
  return { description, content: { "application/json": { schema } } };
}

export function problems(...codes: ErrorCode[]): Record<number, object> {
  const all: ErrorCode[] = [...codes, "unauthenticated", "forbidden", "store-deleted", "too-many-requests", "unavailable"];
  const schema = jsonSchema(wire.problemDocument);
  const byStatus = Map.groupBy(all, (code) => STATUS[code]);
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [
      status,
      {
        description: same.map((code) => `${code}: ${titleOf(code)}`).join(" "),
        content: { "application/problem+json": { schema } },
      },
    ]),
  );
}

export function whole(name: string, description: string, maximum?: number): Parameter {
  return { name, in: "query", description, schema: { type: "integer", minimum: 1, ...(maximum === undefined ? {} : { maximum }) } };
}

export function text(name: string, description: string): Parameter {
  return { name, in: "query", description, schema: { type: "string" } };
}

export function several(name: string, description = `Only this ${name}; may repeat.`): Parameter {
  return { name, in: "query", description, schema: { type: "array", items: { type: "string" } } };
}
