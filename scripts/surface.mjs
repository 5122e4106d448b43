/**
 * Lists the public surface of the package from the declarations in `dist/types`: each entry with each name that it exports and its form.
 * `npm run surface` writes the list to `docs/surface.txt`, so that every change of the surface shows in a diff. A test compares the two.
 * The script also finds types that an entry uses and does not export: there must be none.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript-6";
import { COMPILER_OPTIONS, ROOT } from "./compiler.mjs";

const { exports } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));
/** Entries that are used together with `headwater`, and so with its types. */
const BESIDE = ["headwater/correlation", "headwater/event-types", "headwater/react", "headwater/testing"];
const PRINTER = ts.createPrinter({ removeComments: true });

/** @returns the list, and the names of types that are used but not exported */
export function surface() {
  const entries = Object.entries(exports).map(([name, { types }]) => [name.replace(".", "headwater"), ROOT + types.slice(2)]);
  const program = ts.createProgram(
    entries.map(([, path]) => path),
    COMPILER_OPTIONS,
  );
  const checker = program.getTypeChecker();
  const resolved = (symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);
  const exported = entries.map(([name, path]) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(path));
    return [name, checker.getExportsOfModule(module).map((symbol) => [symbol.name, resolved(symbol)])];
  });
  const namesOf = new Map(exported.map(([name, symbols]) => [name, new Set(symbols.map(([, symbol]) => symbol))]));
  const missing = new Set();
  /** By symbol: the entry that lists its form. */
  const listed = new Map();
  const lines = exported.flatMap(([name, symbols]) => {
    const isPublic = BESIDE.includes(name) ? namesOf.get(name).union(namesOf.get("headwater")) : namesOf.get(name);
    const sorted = symbols.toSorted(([a], [b]) => (a < b ? -1 : 1));
    return [
      `# ${name}`,
      "",
      ...sorted.flatMap(([own, symbol]) => {
        for (const declaration of symbol.declarations ?? [])
          collectMissing(declaration, `${name} ${own}`, missing, isPublic, checker, resolved);
        if (listed.has(symbol)) return [`${own}: as in ${listed.get(symbol)}`, ""];
        listed.set(symbol, name);
        return (symbol.declarations ?? []).flatMap((declaration) => [...formOf(declaration).split("\n"), ""]);
      }),
    ];
  });
  return { text: `${lines.join("\n").trimEnd()}\n`, missing: [...missing].sort() };
}

function formOf(declaration) {
  const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  return PRINTER.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile()).replaceAll(/^export (default )?(declare )?/gm, "");
}

/** Collects the types of this package that a declaration uses and that an app can't import. */
function collectMissing(node, own, missing, isPublic, checker, resolved) {
  if (isHidden(node)) return;
  const name = ts.isTypeReferenceNode(node) ? node.typeName : ts.isExpressionWithTypeArguments(node) ? node.expression : undefined;
  const symbol = name && checker.getSymbolAtLocation(name);
  const target = symbol && resolved(symbol);
  // A class that is a variable is the platform's: `worker/objects/platform.ts`.
  const isType = (one) => !ts.isTypeParameterDeclaration(one) && !ts.isVariableDeclaration(one);
  const isOurs = target?.declarations?.some((one) => isType(one) && one.getSourceFile().fileName.includes("/dist/types/"));
  if (isOurs && !isPublic.has(target)) missing.add(`${own}: ${target.name}`);
  ts.forEachChild(node, (child) => collectMissing(child, own, missing, isPublic, checker, resolved));
}

function isHidden(node) {
  return ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { text, missing } = surface();
  writeFileSync(`${ROOT}docs/surface.txt`, text);
  if (missing.length > 0) {
    console.error(`The public surface uses these types, but they are not exported:\n  ${missing.join("\n  ")}`);
    process.exitCode = 1;
  }
}
