/** What `decide` threw, as it is stored and sent. */
import { copyJson, isObject, type Json } from "../json.ts";
import type { CommandRefusal } from "./command.ts";

/** Characters of a name and a message; bytes of the data, and how deep it may be. More data is left out: the message says what a person has to know. */
const MOST = { name: 255, message: 2_000, bytes: 4_096, depth: 32 } as const;

/** @param error what `decide` threw: anything */
export function refusalOf(error: unknown): CommandRefusal {
  try {
    const { name, message, data } = isObject(error) ? error : { name: "Error", message: error, data: undefined };
    return { name: shortened(name, MOST.name), message: shortened(message, MOST.message), data: data === undefined ? null : dataOf(data) };
  } catch {
    // What was thrown throws when it is read.
    return { name: "Error", message: "The command was refused.", data: null };
  }
}

function shortened(value: unknown, most: number): string {
  const text = String(value ?? "").toWellFormed();
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}

function dataOf(data: unknown): Json {
  try {
    const copy = copyJson(data, "data", MOST.depth);
    return copy.bytes <= MOST.bytes ? copy.value : null;
  } catch {
    return null; // no JSON, as documented
  }
}
