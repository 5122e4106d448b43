/** Reads query parameters. Numbers must be whole, and nothing is silently taken for something else. */
import { InvalidRequestError } from "../../shared/errors.ts";
import { feedFilter } from "../../shared/feed-filter.ts";
import type { Limits } from "../../shared/limits.ts";
import type { CompleteQuery } from "../log/feed-page.ts";

/** The parameters of each route that has some. `/openapi.json` describes them, and a test compares the two. */
export const STREAM = ["from", "limit", "direction", "damaged"];
export const LIST = ["category", "after", "limit"];
export const FEED = [
  ...["after", "limit", "log", "mark", "seen", "within"],
  ...["category", "stream", "type", "correlation", "since", "until", "damaged"],
];
export const INDEX = ["after", "limit"];
export const DELETION = ["log", "dryRun"];
export const DEAD_LETTERS = ["after", "limit"];
export const NONE: readonly string[] = [];

/**
 * The parameters of a request.
 *
 * @param known those of its route
 * @throws InvalidRequestError for any other: a typo in a filter would return events that nobody asked for
 */
export function parametersOf({ url }: { readonly url: string }, known: readonly string[]): URLSearchParams {
  const { searchParams } = new URL(url);
  const unknown = [...searchParams.keys()].find((name) => !known.includes(name));
  if (unknown === undefined) return searchParams;
  const are = known.length === 0 ? "It has none" : `Parameters are ${known.join(", ")}`;
  throw new InvalidRequestError(`${unknown} is not a parameter of this route. ${are}.`, { field: unknown });
}

/** @throws InvalidRequestError for anything but a whole number from `least` to 2^53 − 1 */
export function wholeNumber(parameters: URLSearchParams, name: string, least: number): number | undefined {
  return parseWhole(single(parameters, name), name, least);
}

/** A header's whole number from 0; undefined if the header is missing. @throws InvalidRequestError for anything else */
export function headerNumber(request: Request, name: string): number | undefined {
  return parseWhole(request.headers.get(name) ?? undefined, name, 0);
}

function parseWhole(text: string | undefined, name: string, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least)
    throw new InvalidRequestError(`${name} must be a whole number from ${least}.`, { field: name });
  return value;
}

/** A limit above that of a page is not an error: the page is as full as it may be. */
export function pageLimit(parameters: URLSearchParams, preset: number, limits: Limits): number {
  return Math.min(wholeNumber(parameters, "limit", 1) ?? preset, limits.pageEvents);
}

/** @throws InvalidRequestError if the parameter appears twice: which one does the caller mean? */
export function single(parameters: URLSearchParams, name: string): string | undefined {
  const values = parameters.getAll(name);
  if (values.length > 1) throw new InvalidRequestError(`${name} appears in the URL more than once: send it once.`, { field: name });
  return values[0] === "" ? undefined : values[0];
}

/** A feed query, complete and checked. */
export function feedQuery(parameters: URLSearchParams, limits: Limits): CompleteQuery {
  const query: CompleteQuery = {
    after: wholeNumber(parameters, "after", 0) ?? 0,
    limit: pageLimit(parameters, limits.pageEvents, limits),
    ...present("log", single(parameters, "log")),
    ...present("mark", single(parameters, "mark")),
    ...present("seen", wholeNumber(parameters, "seen", 0)),
    ...several(parameters, "within"),
    ...several(parameters, "category"),
    ...several(parameters, "stream"),
    ...several(parameters, "type"),
    ...present("correlation", single(parameters, "correlation")),
    ...present("since", single(parameters, "since")),
    ...present("until", single(parameters, "until")),
    ...present("damaged", skipped(parameters)),
  };
  feedFilter(query);
  return query;
}

/** What a reader does about damaged storage. @throws InvalidRequestError for anything but `skip` */
export function skipped(parameters: URLSearchParams): "skip" | undefined {
  const given = single(parameters, "damaged");
  if (given === undefined || given === "skip") return given;
  throw new InvalidRequestError('damaged must be "skip". Without it, a page that begins with damaged events fails.', { field: "damaged" });
}

function several(parameters: URLSearchParams, name: string): Record<string, string[]> {
  const values = parameters.getAll(name).filter((value) => value !== "");
  return values.length === 0 ? {} : { [name]: values };
}

function present<T>(name: string, value: T | undefined): Record<string, T> {
  return value === undefined ? {} : { [name]: value };
}
