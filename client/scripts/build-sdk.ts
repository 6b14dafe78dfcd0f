/*
 * Writes the npm package `lake-travis` to a folder: the SDK's modules as plain JavaScript with
 * their declarations, and of the protocol only the files that they use. No bundler: a page's own
 * one takes it from there, and Node runs it as it is.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("../..", import.meta.url));
const sdk = join(root, "client/src/sdk");
const protocolPackage = "@lake-travis/protocol";

/** One file of the package, its path inside it. */
export interface PackageFile {
  readonly path: string;
  readonly text: string;
}

/** Every file of the package. */
export function buildSdk(): readonly PackageFile[] {
  const program = ts.createProgram([join(sdk, "index.ts")], {
    target: ts.ScriptTarget.ES2024,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ["lib.es2024.d.ts"],
    types: ["node"],
    typeRoots: [join(root, "node_modules/@types")],
    strict: true,
    skipLibCheck: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
    declaration: true,
    // By its own path: a file reached through node_modules would not be emitted.
    paths: { [protocolPackage]: [join(root, "protocol/src/index.ts")] },
    rootDir: root,
    outDir: join(root, "out"),
  });
  const used = protocolFilesOf(program);
  const files: PackageFile[] = [];
  const emitted = program.emit(undefined, (path, text) => {
    const place = placeOf(path, new Set(used.keys()));
    if (place !== undefined) files.push({ path: place, text: localised(text, place) });
  });
  const faults = emitted.diagnostics.filter(
    ({ category }) => category === ts.DiagnosticCategory.Error,
  );
  if (faults.length > 0) throw new Error(ts.formatDiagnostics(faults, ts.createCompilerHost({})));
  return [...files, ...doorTo(used), ...papers()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Names that the SDK imports from the protocol, by the file that declares them. */
function protocolFilesOf(program: ts.Program): ReadonlyMap<string, readonly string[]> {
  const checker = program.getTypeChecker();
  const used = new Map<string, string[]>();
  for (const source of program.getSourceFiles()) {
    if (dirname(source.fileName) !== sdk) continue;
    for (const statement of source.statements) {
      for (const name of namesFrom(statement)) {
        const symbol = checker.getSymbolAtLocation(name);
        const target = symbol === undefined ? undefined : checker.getAliasedSymbol(symbol);
        const file = target?.declarations?.[0]?.getSourceFile().fileName;
        if (file === undefined) throw new Error(`Nothing declares ${name.text}.`);
        const names = used.get(basename(file, ".ts")) ?? [];
        used.set(basename(file, ".ts"), [...new Set([...names, name.text])]);
      }
    }
  }
  return used;
}

function namesFrom(statement: ts.Statement): readonly ts.Identifier[] {
  const isDoor = ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement);
  if (!isDoor || statement.moduleSpecifier === undefined) return [];
  if ((statement.moduleSpecifier as ts.StringLiteral).text !== protocolPackage) return [];
  const bindings = ts.isImportDeclaration(statement)
    ? statement.importClause?.namedBindings
    : statement.exportClause;
  if (bindings === undefined || (!ts.isNamedImports(bindings) && !ts.isNamedExports(bindings))) {
    return [];
  }
  return bindings.elements.map(({ name }) => name as ts.Identifier);
}

function placeOf(path: string, used: ReadonlySet<string>): string | undefined {
  const name = basename(path);
  if (path.includes("/client/src/sdk/")) return name;
  const isUsed = path.includes("/protocol/src/") && used.has(name.replace(/\.(d\.ts|js)$/, ""));
  return isUsed ? `protocol/${name}` : undefined;
}

/** Import paths as they are in the package. */
function localised(text: string, place: string): string {
  const door = text.replaceAll(`"${protocolPackage}"`, '"./protocol.js"');
  // Declarations keep the source's endings, which no JavaScript file has.
  return place.endsWith(".d.ts") ? door.replaceAll(/(from "\.[^"]*)\.ts"/g, '$1.js"') : door;
}

/** What the SDK takes from the protocol, as one module. */
function doorTo(used: ReadonlyMap<string, readonly string[]>): readonly PackageFile[] {
  const values = (names: readonly string[]): readonly string[] =>
    names.filter((name) => name !== "ErrorCode");
  const line = (file: string, names: readonly string[]): string =>
    `export { ${names.join(", ")} } from "./protocol/${file}.js";\n`;
  const js = [...used].map(([file, names]) => line(file, values(names))).join("");
  const declarations = [...used].map(([file, names]) => line(file, names)).join("");
  return [
    { path: "protocol.js", text: js },
    { path: "protocol.d.ts", text: declarations },
  ];
}

function papers(): readonly PackageFile[] {
  const { license, version } = JSON.parse(
    readFileSync(join(root, "client/package.json"), "utf8"),
  ) as { license: string; version: string };
  const manifest = {
    name: "lake-travis",
    version,
    description: "Buy AI inference by the second from computers you neither own nor trust.",
    license,
    type: "module",
    sideEffects: false,
    exports: { ".": { types: "./index.d.ts", default: "./index.js" } },
    types: "./index.d.ts",
  };
  return [
    { path: "package.json", text: `${JSON.stringify(manifest, null, 2)}\n` },
    { path: "README.md", text: readFileSync(join(root, "docs/sdk.md"), "utf8") },
    { path: "LICENSE", text: readFileSync(join(root, "LICENSE"), "utf8") },
  ];
}

/** Writes the package into a folder that is its alone. */
export function writeSdk(folder: string, files: readonly PackageFile[]): void {
  rmSync(folder, { recursive: true, force: true });
  for (const { path, text } of files) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

if (resolve(process.argv[1] ?? "") === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? join(root, "client/dist/lake-travis");
  writeSdk(folder, buildSdk());
  process.stdout.write(`${folder}\n`);
}
