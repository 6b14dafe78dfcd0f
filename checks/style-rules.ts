import { readdirSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import ts from "typescript";

/** Something in a file that STYLE forbids. */
export interface StyleFault {
  /** The rule's name, as the gates test knows it. */
  readonly rule: string;
  /** The file, relative to the tree's root. */
  readonly file: string;
  /** One sentence for whoever has to change it. */
  readonly message: string;
}

const columnsMax = 100;

/** An EIP-712 type string stands in one piece, so that it can be searched for and compared. */
const typeString = /^\s*"[A-Z][A-Za-z]*\([A-Za-z0-9 ,\[\]]*\)[A-Za-z0-9 (),\[\]]*"$/;
// A tree larger than this holds something that is not source, such as an unpacked package.
const filesMax = 20_000;

const skippedFolders = new Set(["node_modules", "dist", "coverage", "assets", ".git"]);
const skippedPaths = /^contracts\/(out|cache)$/;
const generated = /^contracts\/src\/(abi|bytecode)\.ts$|(^|\/)generated\//;
const testCode = /\.(test|bench)\.ts$|(^|\/)(test|testing|test-support|bench|interop|fixtures)\//;

const kebab = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const vagueNames = new Set(["utils", "util", "helpers", "helper", "types", "common", "misc"]);
const unfinished = /\b(TODO|FIXME|XXX|HACK)\b/;
const divider = /([-=~#*_])\1{3,}/;

/** Every fault of style under a root; workspaces are the folders with a package.json. */
export function styleFaultsUnder(root: string): readonly StyleFault[] {
  const entryPoints = new Set(listEntryPoints(root));
  return listSources(root).flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    return styleFaultsOf({ file, text, isEntryPoint: entryPoints.has(file) });
  });
}

/** The source files under a root that style is asked of, relative to it. */
export function listSources(root: string): readonly string[] {
  const folders = [root];
  const files: string[] = [];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const name = relative(root, path);
      if (entry.isDirectory() && !skippedFolders.has(entry.name) && !skippedPaths.test(name))
        folders.push(path);
      if (entry.isFile() && /\.(ts|mjs|cjs|js|sol)$/.test(entry.name) && !generated.test(name))
        files.push(name);
    }
    if (files.length > filesMax) throw new Error(`More than ${filesMax} source files in ${root}.`);
  }
  return files.sort();
}

function listEntryPoints(root: string): readonly string[] {
  return readdirSync(root, { withFileTypes: true }).flatMap((entry) => {
    if (!entry.isDirectory() || skippedFolders.has(entry.name)) return [];
    let manifest: { exports?: Record<string, string> };
    try {
      manifest = JSON.parse(readFileSync(join(root, entry.name, "package.json"), "utf8")) as object;
    } catch {
      // A folder without a package.json is no workspace and exports nothing.
      return [];
    }
    return Object.values(manifest.exports ?? {}).map((path) => join(entry.name, path));
  });
}

function styleFaultsOf(source: SourceText): readonly StyleFault[] {
  const faults = [...faultsOfName(source), ...faultsOfLines(source)];
  if (source.file.endsWith(".sol")) {
    faults.push(...faultsOfSolidity(source));
  } else {
    const tree = ts.createSourceFile(source.file, source.text, ts.ScriptTarget.Latest, true);
    faults.push(...faultsOfComments(source, commentsOf(tree)));
    if (source.file.endsWith(".ts")) faults.push(...faultsOfStatements(source, tree));
  }
  return faults;
}

interface SourceText {
  readonly file: string;
  readonly text: string;
  readonly isEntryPoint: boolean;
}

function faultsOfName({ file, text }: SourceText): StyleFault[] {
  const faults: StyleFault[] = [];
  const [name = "", ...suffixes] = basename(file).split(".");
  if (vagueNames.has(name.toLowerCase()))
    faults.push({ rule: "vague-name", file, message: `Name ${file} for its main export.` });
  if (file.endsWith(".sol")) {
    const declared = new RegExp(`\\b(contract|interface|library)\\s+${name}`);
    if (!declared.test(text))
      faults.push({ rule: "solidity-name", file, message: `${file} declares no ${name}.` });
  } else if (![...file.split("/").slice(0, -1), name, ...suffixes].every(isKebab)) {
    faults.push({ rule: "kebab-case", file, message: `${file} is not in kebab-case.` });
  }
  return faults;
}

function isKebab(part: string): boolean {
  return kebab.test(part.replace(/^\./, ""));
}

function faultsOfLines({ file, text }: SourceText): StyleFault[] {
  if (!/\.(ts|sol)$/.test(file)) return [];
  return text.split("\n").flatMap((line, index) =>
    line.length <= columnsMax || isTypeString(file, line)
      ? []
      : [
          {
            rule: "columns",
            file,
            message: `${file}:${index + 1} has ${line.length} columns, at most ${columnsMax} fit.`,
          },
        ],
  );
}

function faultsOfSolidity(source: SourceText): StyleFault[] {
  const comments = source.text.match(/\/\/.*|\/\*[\s\S]*?\*\//g) ?? [];
  return faultsOfComments(source, comments);
}

function faultsOfComments({ file }: SourceText, comments: readonly string[]): StyleFault[] {
  const faults: StyleFault[] = [];
  for (const comment of comments) {
    const words = comment.replace(/^\/(\/+|\*+)|\*+\/$/g, "");
    if (divider.test(words))
      faults.push({ rule: "divider-comment", file, message: `${file} draws a line: ${comment}` });
    if (unfinished.test(words))
      faults.push({ rule: "unfinished", file, message: `${file} is unfinished: ${comment}` });
  }
  return faults;
}

function commentsOf(tree: ts.SourceFile): readonly string[] {
  const found = new Map<number, string>();
  const visit = (node: ts.Node): void => {
    const ranges = [
      ...(ts.getLeadingCommentRanges(tree.text, node.pos) ?? []),
      ...(ts.getTrailingCommentRanges(tree.text, node.end) ?? []),
    ];
    for (const { pos, end } of ranges) found.set(pos, tree.text.slice(pos, end));
    // A template's text looks like comments to the range finder but holds none.
    if (!ts.isTemplateLiteralToken(node)) node.getChildren(tree).forEach(visit);
  };
  visit(tree);
  return [...found.values()];
}

function faultsOfStatements(source: SourceText, tree: ts.SourceFile): StyleFault[] {
  const { file } = source;
  const faults: StyleFault[] = [];
  const add = (rule: string, message: string) => faults.push({ rule, file, message });
  const needsDocstring = /^(protocol|platform)\/src\//.test(file) && !testCode.test(file);
  const isPort = file.startsWith("protocol/src/ports/") && !testCode.test(file);
  const documented = new Set<string>();
  for (const statement of tree.statements) {
    if (ts.isEnumDeclaration(statement))
      add("enum", `${file}: use a string union or \`as const\` for ${statement.name.text}.`);
    if (ts.isExportAssignment(statement) || hasModifier(statement, ts.SyntaxKind.DefaultKeyword))
      add("default-export", `${file}: name what it exports.`);
    if (ts.isExportDeclaration(statement) && statement.moduleSpecifier && !source.isEntryPoint)
      add("barrel", `${file} passes on another file's exports; only an entry point does.`);
    if (!hasModifier(statement, ts.SyntaxKind.ExportKeyword)) continue;
    const name = nameOf(statement);
    if (isPort && !ts.isInterfaceDeclaration(statement) && !ts.isTypeAliasDeclaration(statement))
      add("port-has-code", `${file}: ${name} is code; a port only says what is needed.`);
    // Overloads share the first one's docstring.
    if (ts.getJSDocCommentsAndTags(statement).length > 0) documented.add(name);
    if (needsDocstring && !documented.has(name)) add("docstring", `${file}: ${name} has none.`);
  }
  return faults;
}

function hasModifier(statement: ts.Statement, kind: ts.SyntaxKind): boolean {
  if (!ts.canHaveModifiers(statement)) return false;
  return ts.getModifiers(statement)?.some((modifier) => modifier.kind === kind) ?? false;
}

function nameOf(statement: ts.Statement): string {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(({ name }) => name.getText()).join(", ");
  const name = ts.getNameOfDeclaration(statement as unknown as ts.Declaration);
  return name?.getText() ?? "an export";
}

function isTypeString(file: string, line: string): boolean {
  return file.endsWith(".sol") && typeString.test(line);
}
