/**
 * `headwater delete`: deletes a whole store at the edge. The edge goes on by itself once it has begun, and each request of this command removes a
 * portion, or waits for the one under way. So a command that breaks off is run again, and shows how far the deletion is.
 *
 *     dry run: what would go ──► the person names the store ──► DELETE with the log's id, again and again ──► deleted
 */
import { createInterface } from "node:readline/promises";
import type { EdgeStore } from "../client/http.ts";
import { type StoreDeletion, storeDeletion } from "../shared/wire/deletion.ts";
import { CommandError } from "./command-error.ts";
import { note } from "./output.ts";
import { Progress } from "./progress.ts";

export interface DeleteChoice {
  /** Deletes nothing. */
  readonly dryRun?: boolean | undefined;
  /** The store's name, as a confirmation. */
  readonly yes?: string | undefined;
}

/**
 * @param name the store's, as its URL has it
 * @param ask reads a line of the terminal; undefined if there is none
 * @returns what was done, as text for the terminal
 * @throws CommandError if the name that confirms is another one
 */
export async function deleteStore(
  store: EdgeStore,
  name: string,
  { dryRun = false, yes }: DeleteChoice,
  ask: ((question: string) => Promise<string>) | undefined = terminal(),
): Promise<string> {
  const before = await send(store, "?dryRun=true");
  if (before.state === "deleted") return `${name} is deleted. The name stays deleted.`;
  const what = `${counts(before)}. The log's id is ${before.log}.`;
  const plan = before.state === "present" ? `${name} would lose ${what}` : `${name} is being deleted. What is left: ${what}`;
  if (dryRun || (yes === undefined && ask === undefined)) {
    return `${plan}\nThis was a dry run: to delete the store for ever, run it with --yes ${name}`;
  }
  if (yes === undefined) note(plan);
  const given = yes ?? (await ask?.("There is no way back. Write the store's name to delete it: "));
  if (given !== name) throw new CommandError(`The store is ${name}, and not ${given || "nothing"}: nothing was deleted.`);
  await run(store, before);
  return `${name} is deleted: ${counts(before)}. The name stays deleted.`;
}

async function run(store: EdgeStore, before: StoreDeletion): Promise<void> {
  const progress = new Progress("streams deleted", before.streams);
  try {
    for (let left = before; left.state !== "deleted"; ) {
      left = await send(store, `?log=${before.log}`);
      const done = Math.max(0, before.streams - left.streams);
      progress.at(done, done);
    }
  } finally {
    progress.end();
  }
}

function send(store: EdgeStore, query: string): Promise<StoreDeletion> {
  return store.request(query, storeDeletion, undefined, "DELETE");
}

function counts({ events, streams, subscriptions }: StoreDeletion): string {
  return `${events} events in ${streams} streams, and ${subscriptions} subscriptions`;
}

function terminal(): ((question: string) => Promise<string>) | undefined {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  return async (question) => {
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return (await lines.question(question)).trim();
    } finally {
      lines.close();
    }
  };
}
