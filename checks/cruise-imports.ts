import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** What dependency-cruiser saw under a root. */
export interface ImportReport {
  /** How many modules it looked at; a tool that sees no TypeScript reports no violations. */
  readonly modules: number;
  readonly violations: readonly ImportViolation[];
}

/** One import that checks/import-rules.cjs forbids. */
export interface ImportViolation {
  readonly rule: string;
  readonly from: string;
  readonly to: string;
}

// The report of a few thousand modules; more than this is no report of this tree.
const reportBytesMax = 256 * 2 ** 20;

/** Runs the import rules over every workspace under a root; throws where the tool fails. */
export function cruiseImports(root: string): ImportReport {
  const command = join(root, "node_modules/.bin/depcruise");
  const rules = ["--config", "checks/import-rules.cjs", "--output-type", "json"];
  const run = spawnSync(command, [...rules, ...listWorkspaces(root)], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: reportBytesMax,
  });
  if (run.error) throw run.error;
  if (!run.stdout.startsWith("{")) throw new Error(`dependency-cruiser failed: ${run.stderr}`);
  const { summary } = JSON.parse(run.stdout) as CruiseResult;
  return {
    modules: summary.totalCruised,
    violations: summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to })),
  };
}

/** The folders under a root that hold a package.json, in alphabetical order. */
export function listWorkspaces(root: string): readonly string[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(root, entry.name, "package.json")))
    .map((entry) => entry.name)
    .sort();
}

interface CruiseResult {
  readonly summary: {
    readonly totalCruised: number;
    readonly violations: readonly {
      readonly rule: { readonly name: string };
      readonly from: string;
      readonly to: string;
    }[];
  };
}
