import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { cruiseImports, type ImportReport } from "./cruise-imports.ts";
import { copyTree, type PlantedTree } from "./planted-tree.ts";
import { styleFaultsUnder } from "./style-rules.ts";
import { typeFaultsUnder } from "./type-faults.ts";

// A gate that has never been seen failing is no gate: each check is run on a copy of the tree
// in which one file breaks one rule, and has to name exactly that rule for exactly that file.
// Planted names end in `-process`, which the import rules take for an entry point, so that none
// of them counts as unreachable as well.

/** What a planted file holds, and the rule that has to name it; none for a lawful one. */
type Plants = Readonly<Record<string, readonly [text: string, ...rules: string[]]>>;

const typeOf = (workspace: string) =>
  `import type * as planted from "@lake-travis/${workspace}";\n` +
  "export type Planted = typeof planted;\n";

const importPlants: Plants = {
  "contracts/src/planted-left-process.ts": [typeOf("protocol"), "contracts-imports-only-left"],
  "protocol/src/planted-left-process.ts": [typeOf("platform"), "protocol-imports-only-left"],
  "platform/src/planted-left-process.ts": [typeOf("registry"), "platform-imports-only-left"],
  "registry/src/planted-left-process.ts": [typeOf("client"), "registry-imports-only-left"],
  "router/src/planted-left-process.ts": [typeOf("dashboard"), "router-imports-only-left"],
  "provider/src/planted-left-process.ts": [typeOf("agent"), "provider-imports-only-left"],
  "client/src/planted-left-process.ts": [typeOf("agent"), "client-imports-only-left"],
  "client/src/planted-actor-process.ts": [typeOf("router"), "actors-apart"],
  "provider/src/planted-actor-process.ts": [typeOf("client"), "actors-apart"],
  "agent/src/planted-page-process.ts": [typeOf("dashboard"), "pages-apart"],
  "dashboard/src/planted-node-process.ts": [
    'import { join } from "node:path";\nexport const planted = join;\n',
    "dashboard-without-node",
  ],
  "dashboard/src/planted-platform-process.ts": [
    'import * as planted from "@lake-travis/platform";\nexport const all = planted;\n',
    "dashboard-without-platform",
  ],
  "client/src/planted-devnet-process.ts": [typeOf("devnet"), "nothing-imports-devnet"],
  "devnet/src/planted-simulation-process.ts": [typeOf("simulation"), "nothing-imports-devnet"],
  "platform/src/planted-path-process.ts": [
    'import type { LakeError } from "../../protocol/src/errors.ts";\nexport type E = LakeError;\n',
    "no-path-into-workspace",
  ],
  "protocol/src/planted-node-process.ts": [
    'import { join } from "node:path";\nexport const planted = join;\n',
    "protocol-is-pure",
  ],
  "protocol/src/planted-package-process.ts": [
    'import { z } from "zod";\nexport const planted = z;\n',
    "packages-are-declared",
    "protocol-is-pure",
  ],
  "protocol/src/ports/planted-port-process.ts": [
    'import { LakeError } from "../errors.ts";\nexport const planted = LakeError;\n',
    "ports-are-types",
  ],
  "protocol/src/ports/planted-type-process.ts": [
    'import type { LakeError } from "../errors.ts";\nexport type Planted = LakeError;\n',
  ],
  "router/src/planted-hop-process.ts": [
    'export * from "./planted-prompt-process.ts";\n',
    "router-never-sees-a-prompt",
  ],
  "router/src/planted-prompt-process.ts": [
    'export type * from "@lake-travis/protocol/inference";\n',
    "router-never-sees-a-prompt",
  ],
  "router/src/core/planted-core-process.ts": [
    'export * from "../planted-disk-process.ts";\n',
    "router-core-is-pure",
  ],
  "router/src/planted-disk-process.ts": ['export { readFileSync } from "node:fs";\n'],
  "platform/src/planted-ring-process.ts": [
    'import { b } from "./planted-round-process.ts";\nexport const a = (): unknown => b;\n',
    "no-cycles",
  ],
  "platform/src/planted-one-process.ts": [
    'import type { B } from "./planted-two-process.ts";\nexport type A = { b: B } | undefined;\n',
  ],
  "platform/src/planted-two-process.ts": [
    'import type { A } from "./planted-one-process.ts";\nexport type B = { a: A } | undefined;\n',
  ],
  "platform/src/planted-tested-process.ts": [
    'export * from "./planted.test.ts";\n',
    "no-test-in-product",
  ],
  "platform/src/planted-support.ts": ["export const planted = 1;\n", "no-test-support-in-product"],
  "registry/src/planted-package-process.ts": [
    'import * as check from "fast-check";\nexport const planted = check;\n',
    "packages-are-declared",
  ],
  "registry/src/planted-nowhere-process.ts": [
    'export * from "./planted-nowhere-to-be-found.ts";\n',
    "imports-resolve",
  ],
};

// What the plants above import; nothing is asked about these files themselves.
const importBystanders: Readonly<Record<string, string>> = {
  "platform/src/planted-round-process.ts":
    'import { a } from "./planted-ring-process.ts";\nexport const b = (): unknown => a;\n',
  "platform/src/planted.test.ts": "export const planted = 1;\n",
  "platform/src/planted-other.test.ts": 'export * from "./planted-support.ts";\n',
};

describe("the import rules", () => {
  let tree: PlantedTree;
  let report: ImportReport;
  before(() => {
    tree = copyTree();
    for (const name of ["router", "client", "devnet", "agent", "dashboard", "simulation"])
      tree.addWorkspace(name);
    for (const [file, [text]] of Object.entries(importPlants)) tree.plant(file, text);
    for (const [file, text] of Object.entries(importBystanders)) tree.plant(file, text);
    report = cruiseImports(tree.root);
  });
  after(() => {
    tree.remove();
  });

  test("see the whole tree", () => {
    assert.ok(report.modules > 100, `only ${report.modules} modules were seen`);
  });
  for (const [file, [, ...rules]] of Object.entries(importPlants)) {
    test(`${rules.join(" and ") || "nothing"} names ${file}`, () => {
      const named = report.violations.filter(({ from }) => from === file).map(({ rule }) => rule);
      assert.deepEqual([...new Set(named)].sort(), rules);
    });
  }
});

// `export function` keeps each plant free of the rules about types that it is not about.
const mention = (expression: string) =>
  `/** Planted. */\nexport function planted(): unknown {\n  return ${expression};\n}\n`;

const ambient = [
  "Date",
  "performance",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "crypto",
  "fetch",
  "process",
  "globalThis",
];
const lines = (count: number, text: string) => `${text}\n`.repeat(count);

const lintPlants: Plants = {
  ...restrictedIn("protocol/src"),
  ...restrictedIn("router/src/core"),
  "protocol/src/planted-console.ts": [
    "export const planted = () => {\n  console.log(1);\n};\n",
    "no-console",
    "no-restricted-globals",
  ],
  "protocol/src/planted-clock.test.ts": [mention("[Date.now(), Math.random()]")],
  "platform/src/planted-clock.ts": [mention("[Date.now(), Math.random()]")],
  "platform/src/planted-any.ts": [
    "export const planted = (value: any) => typeof value;\n",
    "@typescript-eslint/no-explicit-any",
  ],
  "platform/src/planted-promise.ts": [
    "const wait = async () => 1;\nexport const planted = () => {\n  wait();\n};\n",
    "@typescript-eslint/no-floating-promises",
  ],
  "platform/src/planted-function.ts": [
    `export function planted(list: number[]) {\n${lines(71, "  list.push(1);")}}\n`,
    "max-lines-per-function",
  ],
  "platform/src/planted-file.ts": [lines(501, "export type {};"), "max-lines"],
  "platform/src/planted-enum.ts": ["export enum Planted {\n  One,\n}\n", "no-restricted-syntax"],
  "platform/src/planted-default.ts": ["export default 1;\n", "no-restricted-syntax"],
};

describe("ESLint", () => {
  let tree: PlantedTree;
  const named = new Map<string, Set<string>>();
  before(() => {
    tree = copyTree();
    for (const [file, [text]] of Object.entries(lintPlants)) tree.plant(file, text);
    const files = Object.keys(lintPlants);
    // Only the planted files: the types of the whole tree would take five times as long.
    const settings = { extends: "./tsconfig.base.json", include: files };
    tree.plant("tsconfig.lint.json", JSON.stringify(settings));
    const output = tree.runCommand("eslint", ["--format", "json", ...files]);
    for (const { filePath, messages } of JSON.parse(output) as LintResult[]) {
      const file = files.find((each) => filePath.endsWith(`/${each}`)) ?? filePath;
      named.set(file, new Set(messages.map(({ ruleId }) => ruleId ?? "no parse")));
    }
  });
  after(() => {
    tree.remove();
  });

  for (const [file, [, ...rules]] of Object.entries(lintPlants)) {
    test(`${rules.join(" and ") || "nothing"} names ${file}`, () => {
      assert.deepEqual([...(named.get(file) ?? ["not linted"])].sort(), rules);
    });
  }
});

interface LintResult {
  readonly filePath: string;
  readonly messages: readonly { readonly ruleId: string | null }[];
}

// Written in two parts, so that this file does not break the rule itself.
const later = "TO" + "DO";
const ok = "/** Planted. */\nexport const planted = 1;\n";

const stylePlants: Plants = {
  "platform/src/plantedCamel.ts": [ok, "kebab-case"],
  "platform/src/Planted_Folder/planted.ts": [ok, "kebab-case"],
  "platform/src/utils.ts": [ok, "vague-name"],
  "router/src/core/types.ts": [ok, "vague-name"],
  "contracts/src/PlantedName.sol": ["contract Other {}\n", "solidity-name"],
  "contracts/src/PlantedWide.sol": [`contract PlantedWide {\n${" ".repeat(100)}}\n`, "columns"],
  "contracts/src/PlantedLine.sol": ["// ------\ncontract PlantedLine {}\n", "divider-comment"],
  "contracts/src/PlantedLater.sol": [`// ${later}\ncontract PlantedLater {}\n`, "unfinished"],
  "client/src/planted-wide.ts": [`export const planted = "${"x".repeat(100)}";\n`, "columns"],
  "client/src/planted-line.ts": ["// ---- parts ----\nexport {};\n", "divider-comment"],
  "client/src/planted-double-line.ts": ["/* ==== */\nexport {};\n", "divider-comment"],
  "client/src/planted-later.ts": [`export {}; // ${later}: more\n`, "unfinished"],
  "client/src/planted-text.ts": [`export const planted = "// ${later} ----";\n`],
  "client/src/planted-enum.ts": ["export enum Planted {\n  One,\n}\n", "enum"],
  "client/src/planted-default.ts": ["export default function planted() {}\n", "default-export"],
  "client/src/planted-barrel.ts": ['export * from "./limits.ts";\n', "barrel"],
  "client/src/planted/index.ts": ['export * from "../limits.ts";\n', "barrel"],
  "protocol/src/planted-bare.ts": ["export const planted = 1;\n", "docstring"],
  "platform/src/planted-bare.ts": ["export interface Planted {}\n", "docstring"],
  "platform/src/planted-bare.test.ts": ["export const planted = 1;\n"],
  "platform/src/planted-overload.ts": [
    "/** Planted. */\nexport function f(): void;\nexport function f(): void {}\n",
  ],
  "protocol/src/ports/planted.ts": [ok, "port-has-code"],
};

describe("the style test", () => {
  let tree: PlantedTree;
  before(() => {
    tree = copyTree();
    for (const [file, [text]] of Object.entries(stylePlants)) tree.plant(file, text);
  });
  after(() => {
    tree.remove();
  });

  test("names exactly the rule that each planted file breaks", () => {
    const faults = styleFaultsUnder(tree.root);
    for (const [file, [, ...rules]] of Object.entries(stylePlants)) {
      const named = faults.filter((fault) => fault.file === file).map(({ rule }) => rule);
      assert.deepEqual(named, rules, file);
    }
  });
});

describe("the other checks", () => {
  let tree: PlantedTree;
  before(() => {
    tree = copyTree();
  });
  after(() => {
    tree.remove();
  });

  test("the compiler names what the protocol may not use, and every other type error once", () => {
    const absent = ["window", "document", "setTimeout", "process", "Buffer", "console"];
    for (const name of absent)
      tree.plant(`protocol/src/planted-${name.toLowerCase()}.ts`, mention(name));
    const wrong = "export const planted: string = 1;\n";
    const wrongFiles = ["platform/src/planted-wrong.ts", "protocol/src/planted-wrong.test.ts"];
    for (const file of wrongFiles) tree.plant(file, wrong);
    tree.plant("platform/src/planted-timer.ts", mention("setTimeout"));
    const { faults } = typeFaultsUnder(tree.root);
    const expected = [
      ...absent.map((name) => `protocol/src/planted-${name.toLowerCase()}.ts`),
      ...wrongFiles,
    ];
    const named = faults
      .map((fault) => fault.slice(0, fault.indexOf("(")))
      .filter((file) => file.includes("planted-"));
    assert.deepEqual(named.sort(), expected.sort());
  });

  test("knip names a file and an export that nothing uses", () => {
    tree.plant("platform/src/planted-dead.ts", ok);
    tree.plant(
      "platform/src/main.ts",
      'import { used } from "./planted-half.ts";\nexport const planted = used;\n',
    );
    tree.plant(
      "platform/src/planted-half.ts",
      "export const used = 1;\nexport const unused = 2;\n",
    );
    const output = tree.runCommand("knip", ["--no-progress", "--no-config-hints"]);
    assert.match(output, /^platform\/src\/planted-dead\.ts/m);
    assert.match(output, /^unused .*platform\/src\/planted-half\.ts/m);
    assert.doesNotMatch(output, /^used /m);
  });

  test("prettier names a file that it would write otherwise", () => {
    tree.plant("platform/src/planted-format.ts", "export const planted = 'one'\n");
    const output = tree.runCommand("prettier", ["--check", "platform/src/planted-format.ts"]);
    assert.match(output, /planted-format\.ts/);
  });
});

function restrictedIn(folder: string): Plants {
  const plants: [string, readonly [string, string]][] = ambient.map((name) => [
    `${folder}/planted-${name.toLowerCase()}.ts`,
    [mention(name), "no-restricted-globals"],
  ]);
  plants.push([
    `${folder}/planted-chance.ts`,
    [mention("Math.random()"), "no-restricted-properties"],
  ]);
  return Object.fromEntries(plants);
}
