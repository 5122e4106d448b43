/**
 * Lists the options and settings of the package: each set by its description in the code, with the meaning from the docstrings of its
 * interface. `npm run options` writes the list to `docs/options.md`. A test compares the two, and the docstrings with the descriptions.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript-6";
import { COMPILER_OPTIONS, ROOT } from "./compiler.mjs";

/** Heading, file and interface, and the name of the description, in the same file if no other is named. */
const SETS = [
  ["`openStore`", "client/store-options.ts", "StoreOptions", "STORE_OPTIONS"],
  ["`openStore`: `sync`", "client/store-options.ts", "SyncOptions", "SYNC_OPTIONS"],
  ["`openStore`: `sync.filter`", "client/store-options.ts", "SyncFilter", "FILTER_OPTIONS"],
  ["`openStore`, `connectStore`, `createEdge`: `limits`", "shared/limits.ts", "Limits", "LIMIT_OPTIONS"],
  ["`appendToStream`", "client/event-store.ts", "AppendOptions", "APPEND_OPTIONS"],
  ["`readStream`", "client/event-store.ts", "ReadStreamOptions", "READ_STREAM_OPTIONS", "client/storage/read-options.ts"],
  ["`readAll`", "client/event-store.ts", "ReadAllOptions", "READ_ALL_OPTIONS", "client/storage/read-options.ts"],
  ["`aggregateStream`", "client/streams/aggregates.ts", "FoldOptions", "FOLD_OPTIONS"],
  ["`handle`", "client/streams/handle.ts", "HandleOptions", "HANDLE_OPTIONS"],
  ["`subscribe`", "client/subscription/subscriber.ts", "SubscribeOptions", "SUBSCRIBE_OPTIONS"],
  ["`project`: a projection", "shared/device/projection.ts", "Projection", "PROJECTION_OPTIONS"],
  ["`query` and `live` of a table", "shared/device/projection.ts", "RowQuery", "QUERY_OPTIONS"],
  ["`reset`", "client/store-options.ts", "ResetOptions", "RESET_OPTIONS"],
  ["`signOut`", "client/store-options.ts", "SignOutOptions", "SIGN_OUT_OPTIONS"],
  ["`deleteStore`", "client/store-options.ts", "DeleteOptions", "DELETE_OPTIONS"],
  ["`connectStore`", "client/http-options.ts", "ConnectOptions", "CONNECT_OPTIONS"],
  ["`connectStore`: every call, besides its own options", "client/http-options.ts", "CallOptions", "CALL_OPTIONS"],
  ["`connectStore`: `readStream`", "client/http-options.ts", "ReadStreamCall", "READ_STREAM_CALL"],
  ["`connectStore`: `readAll`", "client/http-options.ts", "ReadFeedOptions", "READ_FEED_OPTIONS"],
  ["`connectStore`: `tail`", "client/http-options.ts", "TailOptions", "TAIL_OPTIONS"],
  ["`connectStore`: `listStreams`", "client/http-options.ts", "ListStreamsOptions", "LIST_OPTIONS"],
  [
    "`defineEventTypes`: an event type",
    "shared/event/event-types.ts",
    "EventTypeDefinition",
    "EVENT_TYPE_PARTS",
    "shared/event/event-type-parts.ts",
  ],
  ["`createEdge`", "worker/routes/settings.ts", "EdgeSettings", "EDGE_SETTINGS"],
  ["`createEdge`: a subscription", "worker/subscription/settings.ts", "Subscription", "SUBSCRIPTION_OPTIONS"],
  ["`createEdge`: what `authenticate` returns", "worker/access/access.ts", "Principal", "PRINCIPAL"],
  ["Variables of a deployment", "worker/env.ts", "EdgeEnv", "VARIABLES", "worker/access/variables.ts"],
  ["`openMemoryStore`", "client/testing/memory-store.ts", "MemoryStoreOptions", "MEMORY_STORE_OPTIONS"],
  ["`openMemoryEdge`", "client/testing/memory-edge.ts", "MemoryEdgeOptions", "MEMORY_EDGE_OPTIONS"],
];

const INTRODUCTION = `# Options and settings

\`npm run options\` makes this page of the code. An option that is not listed here, or that is not what it must be, is rejected with
\`InvalidRequestError\`, whose \`field\` names it. \`undefined\` is the same as leaving an option out. Over HTTP, unknown parameters of a query,
and unknown fields of a body that an app writes itself, are rejected in the same way: [http.md](http.md).
`;

const OPTIONAL = "optional";

/** The sets, each with its options: what each must be, its preset, and its docstring. */
export async function optionSets() {
  const program = ts.createProgram([...new Set(SETS.map(([, file]) => ROOT + file))], {
    ...COMPILER_OPTIONS,
    allowImportingTsExtensions: true,
    strict: true,
  });
  const checker = program.getTypeChecker();
  return Promise.all(
    SETS.map(async ([heading, file, name, description, where = file]) => {
      const { [description]: described } = await import(`../${where}`);
      const symbol = checker
        .getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(ROOT + file)))
        .find((one) => one.name === name);
      const properties = new Map(
        checker
          .getDeclaredTypeOfSymbol(symbol)
          .getProperties()
          .map((property) => [property.name, property]),
      );
      const options = Object.entries(described).map(([option, { what, preset, isRequired = false }]) => {
        const comment = properties.get(option)?.getDocumentationComment(checker) ?? [];
        return { name: option, what, preset, isRequired, docs: ts.displayPartsToString(comment).replaceAll(/\s+/g, " ") };
      });
      return { heading, name, options, properties: [...properties.keys()] };
    }),
  );
}

/** The default as a docstring says it; undefined if it says none. */
export function saidDefault(docs) {
  return DEFAULT.exec(docs)?.[1];
}

const DEFAULT = /\bDefault: (.+?)\.(?= [A-Z]|$)/;

/** The page. */
export async function optionsPage() {
  const sets = await optionSets();
  return `${INTRODUCTION}${sets.map(sectionOf).join("")}`;
}

function sectionOf({ heading, options }) {
  const rows = options.map(({ name, what, isRequired, docs }) => {
    const standard = isRequired ? "required" : (saidDefault(docs) ?? OPTIONAL);
    return [`\`${name}\``, codeOf(what), standard, docs.replace(DEFAULT, "").replaceAll("  ", " ").trim()];
  });
  const cells = [["option", "must be", "default", "meaning"], ...rows].map((row) => row.map(escaped));
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column].length)));
  const [head, ...body] = cells.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`);
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return `\n## ${heading}\n\n${[head, rule, ...body].join("\n")}\n`;
}

/** Braces would be read as a placeholder, and quotes belong to the value. */
function codeOf(what) {
  return what.replaceAll(/"[^"]+"|\{[^}]+\}/g, "`$&`");
}

function escaped(cell) {
  return cell.replaceAll("|", "\\|").replaceAll("\n", " ");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(`${ROOT}docs/options.md`, await optionsPage());
