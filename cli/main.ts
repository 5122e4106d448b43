#!/usr/bin/env node
/** The command line: `headwater import | export | restore | reconcile | verify | tail | handle | delete`, against an edge, and `token` for developers. */
import { Command, InvalidArgumentError } from "commander";
import { connectStore, type EdgeStore } from "../client/http.ts";
import { toStoreUrl } from "../shared/store-url.ts";
import { type DeleteChoice, deleteStore } from "./delete.ts";
import { exportStore } from "./export.ts";
import { type HandleChoice, handleCommand } from "./handle.ts";
import { type ImportChoice, importFile } from "./import.ts";
import { print, printFailure, visibleLines } from "./output.ts";
import { type ReconcileChoice, reconcileStore } from "./reconcile.ts";
import { abandonRestore, restoreFile } from "./restore.ts";
import { type TailChoice, tailStore } from "./tail.ts";
import { signToken, type TokenChoice } from "./token.ts";
import { verifyStore } from "./verify.ts";

interface Access {
  readonly url: string;
  readonly token?: string;
}

function connect({ url, token = process.env["HEADWATER_TOKEN"] }: Access): EdgeStore {
  return connectStore({ url, ...(token === undefined ? {} : { token: () => token }) });
}

function parseUrl(value: string): string {
  const url = toStoreUrl(value);
  if (url === undefined || !/\/v1\/[^/]+$/.test(url)) {
    throw new InvalidArgumentError("It must be the URL of a store without a query or a hash, e.g. http://127.0.0.1:8787/v1/permits");
  }
  return url;
}

function parsePosition(value: string): number {
  const position = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(position)) throw new InvalidArgumentError("A position must be a whole number from 0.");
  return position;
}

function withAccess(command: Command): Command {
  return command
    .requiredOption("--url <url>", "the URL of the store, e.g. http://127.0.0.1:8787/v1/permits", parseUrl)
    .option("--token <token>", "bearer token; better set HEADWATER_TOKEN in the environment");
}

const program = new Command("headwater").description("Work with a Headwater store from a terminal.").showHelpAfterError();
// Commands take these over, so they come first. What the person typed is in its errors, names of files too.
program.configureOutput({ writeErr: (text) => process.stderr.write(visibleLines(text)) });

withAccess(program.command("import"))
  .description(
    "append the events of a file, one JSON object a line, that the store does not have; all of it is checked before any is appended",
  )
  .argument("<file>", "FILE.ndjson or FILE.ndjson.gz; - reads standard input")
  .option("--dry-run", "check the file against the store and report what would be appended; write nothing")
  .addHelpText(
    "after",
    `
A line is {"stream","type","time","actor","data"}, with "id", "schemaVersion" and "metadata" if you like, or a line that export or tail wrote.
A time is ISO 8601 with a zone, e.g. 2026-01-31T09:30:00Z. Other names are errors: put other fields into "data" or "metadata".`,
  )
  .action(async (file: string, { dryRun = false, ...access }: Access & ImportChoice) =>
    print(await importFile(connect(access), file, { dryRun })),
  );

withAccess(program.command("export"))
  .description("write every event in position order, one JSON object a line")
  .option("--out <file>", "write to a file instead of standard output")
  .action(async ({ out, ...access }: Access & { out?: string }) => exportStore(connect(access), out));

withAccess(program.command("restore"))
  .description("put the file of an export into a store as it was recorded, with ids, actors and times; needs the action admin")
  .argument("[file]", "FILE.ndjson or FILE.ndjson.gz, as export wrote it; - reads standard input")
  .option("--abandon", "give up the restore that is under way; the store is as it was before")
  .addHelpText(
    "after",
    `
Positions are kept if the store is empty. Nothing is shown before everything is restored. If it breaks off, run the same command again.`,
  )
  .action(async (file: string | undefined, { abandon = false, ...access }: Access & { abandon?: boolean }, command: Command) => {
    if (abandon === (file !== undefined)) command.error("error: restore needs a file, or --abandon without one");
    print(await (file === undefined ? abandonRestore(connect(access)) : restoreFile(connect(access), file)));
  });

withAccess(program.command("reconcile"))
  .description(
    "repair the log from the streams, and streams from the log, where one is damaged, missing or put back; needs the action admin",
  )
  .option("--dry-run", "report what would be repaired; write nothing")
  .option("--stream <stream...>", "only these streams, also if the log does not know them")
  .option("--prefix <text>", "only streams whose ids begin like this")
  .option("--against <file>", "the file of an export: it names streams, and has what neither side can read")
  .option("--save-replaced <file>", "if a stream has other events than the log, add them to this file, and replace them")
  .option("--accept-loss", "go on with what the store has; events that are gone are given up")
  .addHelpText(
    "after",
    `
Events come to the version and the position that they had. Appends to the other streams go on. If it breaks off, run the same command again.`,
  )
  .action(
    async ({ dryRun = false, stream, ...choice }: Access & Omit<ReconcileChoice, "streams"> & { stream?: string[] }, command: Command) => {
      if (choice.acceptLoss && (stream !== undefined || choice.prefix !== undefined)) {
        command.error("error: --accept-loss is about the whole store: leave out --stream and --prefix");
      }
      print(await reconcileStore(connect(choice), { ...choice, dryRun, ...(stream && { streams: stream }) }));
    },
  );

withAccess(program.command("verify"))
  .description("read the whole store; check positions, versions and ids, and compare each stream with the feed")
  .option("--against <file>", "compare the store with the file of an export, too")
  .action(async ({ against, ...access }: Access & { against?: string }) => verifyStore(connect(access), against));

withAccess(program.command("tail"))
  .description("write events as they come, one JSON object a line, until you stop it with Ctrl-C")
  .option("--after <position>", "start after this position; default: only new events", parsePosition)
  .option("--category <category...>", "only events of these categories")
  .option("--stream <stream...>", "only events of these streams")
  .option("--type <type...>", "only events of these types")
  .action(async ({ after, category, stream, type, ...access }: Access & TailChoice) =>
    tailStore(connect(access), { after, category, stream, type }),
  );

withAccess(program.command("handle"))
  .description("give a command to the decider that the edge has for the stream's category; needs the action handle")
  .argument("<stream>", "the stream's id, e.g. Stock-1")
  .argument("<command>", "the command as JSON, e.g. '{\"take\":1}'")
  .requiredOption("--decider <name@version>", "the decider for which the command is, e.g. stock@1")
  .option("--id <uuid>", "the command's id: sent again with the same id, it is decided once; default: a new one")
  .action(async (stream: string, command: string, { decider, id, ...access }: Access & HandleChoice) =>
    print(await handleCommand(connect(access), stream, command, { decider, ...(id !== undefined && { id }) })),
  );

withAccess(program.command("delete"))
  .description("delete a whole store at the edge, for ever; needs the action admin")
  .option("--dry-run", "report what would be deleted; delete nothing")
  .option("--yes <store>", "the store's name, which a terminal is asked for otherwise")
  .addHelpText(
    "after",
    `
Without a terminal and without --yes this is a dry run. If it breaks off, the edge goes on; run the same command again to see how far it is.
Devices keep what they have. The name of a deleted store can't be used again.`,
  )
  .action(async ({ dryRun, yes, ...access }: Access & DeleteChoice) => {
    const name = access.url.slice(access.url.lastIndexOf("/") + 1);
    print(await deleteStore(connect(access), name, { dryRun, yes }));
  });

program
  .command("token")
  .description("sign a token for development with JWT_SECRET of the environment, which must be the secret of the edge")
  .option("--sub <actor>", "the actor", "developer")
  .option("--grant <store:streams:actions...>", "e.g. permits:Permit-*:read,append; separate streams and actions by commas", [
    "*:*:read,append",
  ])
  .option("--expires <time>", "how long the token is valid, e.g. 15m or 8h", "8h")
  .option("--issuer <iss>", "the same as JWT_ISSUER of the edge")
  .option("--audience <aud>", "the same as JWT_AUDIENCE of the edge")
  .action(async (choice: TokenChoice) => print(await signToken(choice, process.env["JWT_SECRET"])));

// Node would print such an error as it is.
process.on("uncaughtException", (error) => {
  printFailure(error);
  process.exit(1);
});

try {
  await program.parseAsync();
} catch (error) {
  printFailure(error);
  process.exitCode = 1;
}
