/** The deciders that an app hands over, to a device or to an edge. */
import { InvalidRequestError } from "../errors.ts";
import { isName } from "../event/commit.ts";
import { isObject } from "../json.ts";
import * as option from "../options.ts";
import type { AnyDecider } from "./decider.ts";

/** What is used of a decider. It may have more, e.g. if it is an instance of a class. */
const PARTS: Readonly<Record<string, option.Option>> = {
  name: { what: "1 to 255 printable characters", accepts: isName },
  version: option.count,
  evolve: option.callback,
  decide: option.callback,
};

/**
 * Deciders by their names.
 *
 * @param given each with the field that an error names
 * @throws InvalidRequestError that names the wrong part
 */
export function decidersByName(given: readonly (readonly [field: string, decider: AnyDecider])[]): Map<string, AnyDecider> {
  const byName = new Map<string, AnyDecider>();
  for (const [field, decider] of given) {
    if (!isObject(decider)) throw new InvalidRequestError(`${field} must be a decider.`, { field });
    for (const [name, { what, accepts }] of Object.entries(PARTS)) {
      if (accepts(Reflect.get(decider, name))) continue;
      throw new InvalidRequestError(`${field}.${name} must be ${what}.`, { field: `${field}.${name}` });
    }
    if ((byName.get(decider.name) ?? decider) !== decider) {
      throw new InvalidRequestError(`${field}: two different deciders are named ${decider.name}. Rename one.`, { field: `${field}.name` });
    }
    byName.set(decider.name, decider);
  }
  return byName;
}
