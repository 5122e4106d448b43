/** The names that a source file declares, uses and imports, read from its syntax tree, without comments and strings. */
import { dirname, join } from "node:path";
import { parseAst } from "rolldown/parseAst";

type Node = { readonly type: string } & Readonly<Record<string, unknown>>;

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

const programs = new Map<string, Node>();

function programOf(text: string): Node {
  const known = programs.get(text);
  if (known !== undefined) return known;
  const program: unknown = parseAst(text, { lang: "ts" });
  if (!isNode(program)) throw new Error("The parser returned no program.");
  programs.set(text, program);
  return program;
}

function childrenOf(node: Node): Node[] {
  return Object.values(node).flat().filter(isNode);
}

function* walk(node: Node): Generator<Node> {
  yield node;
  for (const child of childrenOf(node)) yield* walk(child);
}

function nameOf(node: unknown): string | undefined {
  return isNode(node) && typeof node["name"] === "string" ? node["name"] : undefined;
}

function nodesIn(value: unknown): Node[] {
  return [value].flat().filter(isNode);
}

const identifiers = new Map<string, ReadonlySet<string>>();

/** Every identifier of a file, once. */
export function identifiersOf(text: string): ReadonlySet<string> {
  const known = identifiers.get(text);
  if (known !== undefined) return known;
  const named = [...walk(programOf(text))].filter(({ type }) => type === "Identifier" || type === "PrivateIdentifier");
  const names = new Set(named.flatMap((node) => nameOf(node) ?? []));
  identifiers.set(text, names);
  return names;
}

/** The names that a file declares at its top, and the members of its classes as `Class.member`. */
export function declaredIn(text: string): Set<string> {
  const names = new Set<string>();
  for (const statement of nodesIn(programOf(text)["body"])) {
    const declaration = isNode(statement["declaration"]) ? statement["declaration"] : statement;
    const name = nameOf(declaration["id"]);
    if (name !== undefined) names.add(name);
    for (const { id } of nodesIn(declaration["declarations"])) if (nameOf(id) !== undefined) names.add(nameOf(id) ?? "");
    const members = isNode(declaration["body"]) ? nodesIn(declaration["body"]["body"]) : [];
    for (const { key } of members) if (isNode(key) && key.type === "Identifier") names.add(`${name}.${nameOf(key)}`);
  }
  return names;
}

export interface Imports {
  /** The files whose values a file imports, by their paths. What it imports only types of is not here. */
  readonly values: readonly string[];
  /** The files that it loads later, by `import()`. */
  readonly later: readonly string[];
}

export function importsOf(path: string, text: string): Imports {
  const program = programOf(text);
  const pathsOf = (nodes: readonly Node[]) =>
    nodes.flatMap(({ source }) => {
      const target = isNode(source) ? source["value"] : undefined;
      return typeof target === "string" && target.startsWith(".") ? [join(dirname(path), target)] : [];
    });
  return {
    values: pathsOf(nodesIn(program["body"]).filter(bringsValues)),
    later: pathsOf([...walk(program)].filter(({ type }) => type === "ImportExpression")),
  };
}

function bringsValues(statement: Node): boolean {
  if (statement["importKind"] === "type" || statement["exportKind"] === "type") return false;
  const specifiers = nodesIn(statement["specifiers"]);
  return specifiers.length === 0 || specifiers.some((one) => one["importKind"] !== "type" && one["exportKind"] !== "type");
}
