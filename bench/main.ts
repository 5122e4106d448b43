/**
 * `npm run bench`: runs every measurement with its baseline. No result makes it fail. `npm run bench -- device edge` runs some parts, and
 * `npm run bench -- --help` says what else there is. Each part is saved as soon as it is measured, and `node bench/report.ts` makes a page of it.
 */
import { ENGINES, engineOf, engineVersion, openBrowser } from "./browser/engines.ts";
import { arePeersInstalled } from "./browser/server.ts";
import { messageOf } from "./measure.ts";
import { readOptions } from "./options.ts";
import { PARTS, type Part } from "./parts.ts";
import { printResults } from "./report/tables.ts";
import { commitOfSources, HERE, LATEST, machineName, mergeResults, packageVersion, QUICK, type Result } from "./results.ts";
import { isBeingStopped, stopAllOnSignal } from "./running.ts";

const PEERS = ["dexie", "pouchdb-browser", "rxdb", "@sqlite.org/sqlite-wasm"];
const NO_PEERS = "npm ci --prefix bench/peers was not run: Dexie, PouchDB, RxDB and SQLite take no part.";

const { parts, engines, scale, command } = readOptions(
  process.argv.slice(2),
  PARTS.map(({ name }) => name),
);
stopAllOnSignal();
if (!arePeersInstalled()) console.error(NO_PEERS);
const say = (line: string) => console.error(`  ${line}`);

for (const part of PARTS.filter(({ name }) => parts.includes(name))) {
  if ("measure" in part) await run(part, HERE, await versionsOf("workerd"), () => part.measure(scale, say));
  else for (const engine of enginesOf(part.engines)) await runIn(part, engine);
}
console.error(`\nThe results are in ${scale.isQuick ? QUICK : LATEST}. The page: node bench/report.ts`);

/** A part that runs in one engine does so in the first that is named. */
function enginesOf(which: "all" | "first"): readonly string[] {
  return which === "all" || engines !== ENGINES ? engines : engines.slice(0, 1);
}

type EnginePart = Extract<Part, { readonly engines: string }>;

async function runIn(part: EnginePart, name: string): Promise<void> {
  const engine = engineOf(name);
  if ("why" in engine) return run(part, name, {}, () => Promise.reject(new Error(engine.why)));
  const versions = await versionsOf("idb", "workerd");
  const peers: Record<string, string> = {};
  for (const peer of PEERS) peers[peer] = (await packageVersion(peer, "bench/peers")) ?? "not installed";
  const session = await openBrowser(engine);
  try {
    const withEngine = {
      ...versions,
      [name]: await engineVersion(name, session.origin),
      ...(part.name === "device" || part.name === "large" ? peers : {}),
    };
    await run(part, name, withEngine, async () => {
      const results = await part.measureIn(session, scale, say);
      const missing: Result = { kind: "not-measured", title: "Dexie, PouchDB, RxDB and SQLite", why: NO_PEERS };
      return session.source.hasPeers || !(part.name === "device" || part.name === "large") ? results : [...results, missing];
    });
  } finally {
    await session.close();
  }
}

async function versionsOf(...packages: readonly string[]): Promise<Record<string, string>> {
  const versions: Record<string, string> = { Headwater: commitOfSources(), Node: process.version };
  for (const name of packages) versions[name] = (await packageVersion(name)) ?? "unknown";
  return versions;
}

/** A part that fails is saved as not measured, and the next one runs. */
async function run(
  part: Part,
  where: string,
  versions: Readonly<Record<string, string>>,
  work: () => Promise<readonly Result[]>,
): Promise<void> {
  const date = new Date().toISOString();
  console.error(`\n${part.name}${where === HERE ? "" : `, ${where}`} …`);
  const start = performance.now();
  const results = await work().catch((error: unknown): readonly Result[] => {
    return [{ kind: "not-measured", title: part.heading, why: messageOf(error) }];
  });
  // What a signal interrupts is not saved, whatever came of it.
  if (isBeingStopped()) return new Promise(() => undefined);
  const seconds = Math.round((performance.now() - start) / 1000);
  printResults(results);
  say(`${part.name}: ${seconds} s`);
  const facts = { part: part.name, where, date, command, seconds, rounds: scale.rounds, machine: machineName(), versions };
  await mergeResults(scale.isQuick ? QUICK : LATEST, { ...facts, results });
}
