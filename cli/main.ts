#!/usr/bin/env node
/** The command line: `headwater import | export | verify`, against an edge. */
import { Command, InvalidArgumentError } from "commander";
import { connectStore, type EdgeStore } from "../client/http.ts";
import { HeadwaterError } from "../shared/errors.ts";
import { CommandError } from "./command-error.ts";
import { exportStore } from "./export.ts";
import { importFile } from "./import.ts";
import { verifyStore } from "./verify.ts";

interface Access {
  readonly url: string;
  readonly token?: string;
}

function connect({ url, token = process.env["HEADWATER_TOKEN"] }: Access): EdgeStore {
  return connectStore({ url, ...(token === undefined ? {} : { token: () => token }) });
}

function parseUrl(value: string): string {
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol) || !/\/v1\/[^/]+\/?$/.test(url.pathname)) {
    throw new InvalidArgumentError("It is the address of a store, e.g. http://127.0.0.1:8787/v1/permits");
  }
  return value;
}

function withAccess(command: Command): Command {
  return command
    .requiredOption("--url <url>", "the store, e.g. http://127.0.0.1:8787/v1/permits", parseUrl)
    .option("--token <token>", "bearer token; better in the environment, as HEADWATER_TOKEN");
}

const program = new Command("headwater").description("Work with a Headwater store from a terminal.").showHelpAfterError();

withAccess(program.command("import"))
  .description("append the events of a file, one JSON object a line; run again, it changes nothing")
  .argument("<file>", "FILE.ndjson or FILE.ndjson.gz; - reads standard input")
  .action(async (file: string, access: Access) => importFile(connect(access), file));

withAccess(program.command("export"))
  .description("write every event in position order, one JSON object a line")
  .option("--out <file>", "a file instead of standard output")
  .action(async ({ out, ...access }: Access & { out?: string }) => exportStore(connect(access), out));

withAccess(program.command("verify"))
  .description("read the whole store; check positions, versions and ids, and each stream against the feed")
  .action(async (access: Access) => verifyStore(connect(access)));

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommandError) && !(error instanceof HeadwaterError)) throw error;
  const code = error instanceof HeadwaterError ? ` (${error.code})` : "";
  console.error(`headwater: ${error.message}${code}`);
  process.exitCode = 1;
}
