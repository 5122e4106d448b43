/**
 * Commands of several versions of an app. A command is for the version of the decider to which it was given. Code of another version does not
 * decide it: an older one would not understand it, and a newer one needs upcasters, which stand beside those of the events.
 */
import { InvalidRequestError } from "../errors.ts";
import { copyJson, type Json } from "../json.ts";
import * as option from "../options.ts";
import { messageOf } from "../thrown.ts";
import type { PendingCommand } from "./command.ts";
import type { AnyDecider } from "./decider.ts";

/** Turns the data of a command of version n into that of version n + 1. It is pure and synchronous. */
export type CommandUpcaster = { upcast(data: unknown, command: PendingCommand): unknown }["upcast"];

/** The commands of a decider as an app writes them. */
export interface CommandDefinition {
  /** The decider's version now. */
  readonly version: number;
  /** Upcasters by the version that they begin with. A version without one can't be decided any more. Default: none. */
  readonly upcast?: { readonly [version: number]: CommandUpcaster };
}

/** By the names of deciders. */
export interface CommandDefinitions {
  readonly [decider: string]: CommandDefinition;
}

export type CommandUpcasters = ReadonlyMap<string, CommandDefinition>;

const PARTS = {
  version: /* @__PURE__ */ option.required(option.count),
  upcast: /* @__PURE__ */ option.withPreset({ ...option.object, what: "an object with upcasters by version" }, {}),
} satisfies option.OptionsOf<CommandDefinition>;

/** @throws InvalidRequestError that names the decider and the version */
export function defineCommands(definitions: CommandDefinitions): CommandUpcasters {
  return new Map(
    Object.entries(definitions).map(([decider, definition]) => {
      const field = `commands.${decider}`;
      const { version, upcast } = option.completeOptions(definition, PARTS, `${field}.`);
      for (const [from, upcaster] of Object.entries(upcast)) {
        const number = Number(from);
        if (typeof upcaster === "function" && Number.isSafeInteger(number) && number >= 1 && number < version) continue;
        throw new InvalidRequestError(`${field}.upcast[${from}] must be a function, and ${from} a version before ${version}.`, {
          field: `${field}.upcast[${from}]`,
        });
      }
      return [decider, { version, upcast }];
    }),
  );
}

export type Readable =
  | { readonly kind: "readable"; readonly data: Json }
  /** The command is for a later version of the decider, or for one before that has no upcaster. */
  | { readonly kind: "newer" | "older" };

/** The data of a command as this version of its decider knows it. @throws what an upcaster throws */
export function readCommand(
  command: PendingCommand,
  decider: Pick<AnyDecider, "name" | "version">,
  upcasters?: CommandUpcasters,
): Readable {
  const { version, data } = command;
  if (version === decider.version || version === 0) return { kind: "readable", data };
  if (version > decider.version) return { kind: "newer" };
  const known = upcasters?.get(decider.name);
  if (known === undefined || known.version !== decider.version) return { kind: "older" };
  let read = data;
  for (let at = version; at < decider.version; at++) {
    const upcast = known.upcast?.[at];
    if (upcast === undefined) return { kind: "older" };
    read = upcastOnce(upcast, { ...command, version: at, data: read });
  }
  return { kind: "readable", data: read };
}

function upcastOnce(upcast: CommandUpcaster, command: PendingCommand): Json {
  const { decider, version, data } = command;
  try {
    return copyJson(upcast(copyJson(data, "data", Number.POSITIVE_INFINITY).value, command), "data", Number.POSITIVE_INFINITY).value;
  } catch (error) {
    throw new InvalidRequestError(
      `A command of version ${version} can't be read, because its upcaster failed: ${messageOf(error)}`,
      { field: `commands.${decider}.upcast[${version}]` },
      { cause: error },
    );
  }
}
