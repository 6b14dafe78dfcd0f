import { existsSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { listWorkspaces } from "./cruise-imports.ts";

/** What the compiler says about a tree. */
export interface TypeReport {
  readonly files: number;
  /** As the compiler prints them, file and line first. */
  readonly faults: readonly string[];
}

// `tsc -p` in each workspace would check the protocol once for every workspace that imports it.
// Here each file is checked once, under its own workspace's settings (the protocol's and the web
// page's leave out what Node would give them), and parsed once for all of them. What no
// workspace includes, such as the protocol's tests and the checks, is checked under
// tsconfig.lint.json.

/** Checks the types of every workspace under a root, and of its checks. */
export function typeFaultsUnder(root: string): TypeReport {
  const folders = listWorkspaces(root).filter((name) =>
    existsSync(join(root, name, "tsconfig.json")),
  );
  const projects = [...folders.map((name) => `${name}/tsconfig.json`), "tsconfig.lint.json"];
  const parsed = new Map<string, ts.SourceFile | undefined>();
  const checked = new Set<string>();
  const faults: string[] = [];
  for (const project of projects) {
    const program = openProgram(join(root, project), parsed);
    const found = [
      ...program.getConfigFileParsingDiagnostics(),
      ...program.getOptionsDiagnostics(),
      ...program.getGlobalDiagnostics(),
    ];
    for (const name of program.getRootFileNames()) {
      const file = program.getSourceFile(name);
      if (file === undefined || checked.has(name)) continue;
      checked.add(name);
      found.push(...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file));
    }
    faults.push(
      ...found.filter(({ code }) => code !== noInputs).map((fault) => print(fault, root)),
    );
  }
  return { files: checked.size, faults };
}

// A workspace whose sources are all in another language has nothing to check.
const noInputs = 18003;

function openProgram(path: string, parsed: Map<string, ts.SourceFile | undefined>): ts.Program {
  const config = ts.getParsedCommandLineOfConfigFile(
    path,
    {},
    {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic(fault) {
        throw new Error(ts.flattenDiagnosticMessageText(fault.messageText, "\n"));
      },
    },
  );
  if (config === undefined) throw new Error(`${path} cannot be read.`);
  const host = ts.createCompilerHost(config.options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, settings, ...rest) => {
    // A file can be an ES module for one program and a script for another.
    const format = typeof settings === "object" ? settings.impliedNodeFormat : undefined;
    const key = `${format ?? 0}:${name}`;
    if (!parsed.has(key)) parsed.set(key, read(name, settings, ...rest));
    return parsed.get(key);
  };
  return ts.createProgram({
    rootNames: config.fileNames,
    options: config.options,
    configFileParsingDiagnostics: config.errors,
    host,
  });
}

function print(fault: ts.Diagnostic, root: string): string {
  return ts
    .formatDiagnostic(fault, {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: () => root,
      getNewLine: () => "\n",
    })
    .trimEnd();
}
