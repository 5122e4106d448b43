/** The deciders of an edge: its setting, checked, and who may go past them. */
import type { AnyDecider } from "../../shared/decider/decider.ts";
import { decidersByName } from "../../shared/decider/deciders.ts";
import { isReached, reachOf } from "../../shared/edge/grants.ts";
import { passageOf } from "../../shared/edge/guard.ts";
import { CommandRequiredError, ForbiddenError, InvalidRequestError } from "../../shared/errors.ts";
import { categoryOf, parseStreamId } from "../../shared/stream-id.ts";
import type { Principal } from "../access/access.ts";
import type { EdgeDeciders } from "../stream/stream-decider.ts";

/** @param given deciders by category @throws InvalidRequestError that names the wrong part */
export function completeDeciders(given: Readonly<Record<string, AnyDecider>> = {}): EdgeDeciders {
  const categories = Object.entries(given);
  for (const [category] of categories) {
    const field = `deciders.${category}`;
    if (categoryOf(parseStreamId(category, field)) === category) continue;
    throw new InvalidRequestError(`${field}: a category is what a stream's id has before its first "-".`, { field });
  }
  decidersByName(categories.map(([category, decider]) => [`deciders.${category}`, decider]));
  return new Map(categories);
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
