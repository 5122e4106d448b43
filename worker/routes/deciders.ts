/** The deciders of an edge: its setting, checked, and who may go past them. */
import type { AnyDecider } from "../../shared/decider/decider.ts";
import { isReached, reachOf } from "../../shared/edge/grants.ts";
import { passageOf } from "../../shared/edge/guard.ts";
import { CommandRequiredError, ForbiddenError, InvalidRequestError } from "../../shared/errors.ts";
import { isName } from "../../shared/event/commit.ts";
import { isObject } from "../../shared/json.ts";
import * as option from "../../shared/options.ts";
import { categoryOf, parseStreamId } from "../../shared/stream-id.ts";
import type { Principal } from "../access/access.ts";
import type { EdgeDeciders } from "../stream/stream-decider.ts";

const DECIDER = {
  name: option.required({ what: "1 to 255 printable characters", accepts: isName }),
  version: option.required({ what: "a whole number from 1", accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 1 }),
  evolve: option.required(option.callback),
  decide: option.required(option.callback),
};

/** @param given deciders by category @throws InvalidRequestError that names the wrong part */
export function completeDeciders(given: Readonly<Record<string, AnyDecider>> = {}): EdgeDeciders {
  const byName = new Map<string, AnyDecider>();
  for (const [category, decider] of Object.entries(given)) {
    const field = `deciders.${category}`;
    if (categoryOf(parseStreamId(category, field)) !== category) {
      throw new InvalidRequestError(`${field}: a category is what a stream's id has before its first "-".`, { field });
    }
    if (!isObject(decider)) throw new InvalidRequestError(`${field} must be a decider.`, { field });
    for (const [name, { what, accepts }] of Object.entries(DECIDER)) {
      if (accepts(Reflect.get(decider, name))) continue;
      throw new InvalidRequestError(`${field}.${name} must be ${what}.`, { field: `${field}.${name}` });
    }
    if ((byName.get(decider.name) ?? decider) !== decider) {
      throw new InvalidRequestError(`${field}: two different deciders are named ${decider.name}. Rename one.`, { field: `${field}.name` });
    }
    byName.set(decider.name, decider);
  }
  return new Map(Object.entries(given));
}

/**
 * @returns whether the edge decides the command
 * @throws ForbiddenError
 * @throws CommandRequiredError if a command is required
 */
export function assertPassage(
  { grants }: Principal,
  deciders: EdgeDeciders,
  store: string,
  streamId: string,
  hasCommand: boolean,
): boolean {
  const passage = passageOf({
    isGuarded: deciders.has(categoryOf(streamId)),
    hasCommand,
    mayAppend: isReached(reachOf(grants, "append", store), streamId),
    mayHandle: isReached(reachOf(grants, "handle", store), streamId),
  });
  if (passage === "forbidden") throw new ForbiddenError();
  if (passage === "command-required") throw new CommandRequiredError();
  return passage === "decided";
}
