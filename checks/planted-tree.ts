import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { listWorkspaces } from "./cruise-imports.ts";

/** A copy of the tree in which a test may plant violations. */
export interface PlantedTree {
  readonly root: string;
  /** Writes a file into the copy, with its folders. */
  plant(file: string, text: string): void;
  /** Adds a workspace that does not exist yet; one that does stays as it is. */
  addWorkspace(name: string): void;
  /** Runs an installed command in the copy: its output, whatever its exit code. */
  runCommand(command: string, parameters: readonly string[]): string;
  remove(): void;
}

const origin = fileURLToPath(new URL("..", import.meta.url));
const rootFiles = [
  "package.json",
  "tsconfig.base.json",
  "tsconfig.lint.json",
  "eslint.config.js",
  "knip.json",
  ".prettierrc.json",
  "checks/import-rules.cjs",
];
const outputBytesMax = 64 * 2 ** 20;

/** Copies every workspace's sources; packages are linked, ours to their copies. */
export function copyTree(): PlantedTree {
  const root = mkdtempSync(join(tmpdir(), "lake-travis-gates-"));
  const workspaces = listWorkspaces(origin);
  const tree = openTree(root);
  for (const file of rootFiles) tree.plant(file, readFileSync(join(origin, file), "utf8"));
  for (const name of workspaces) {
    for (const part of ["package.json", "tsconfig.json", "src"]) {
      const path = join(origin, name, part);
      if (existsSync(path)) cpSync(path, join(root, name, part), { recursive: true });
    }
    linkPackages(join(origin, name), join(root, name));
  }
  linkPackages(origin, root);
  mkdirSync(join(root, "node_modules/@lake-travis"), { recursive: true });
  for (const name of workspaces) linkWorkspace(root, name);
  return tree;
}

function openTree(root: string): PlantedTree {
  const plant = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  return {
    root,
    plant,
    addWorkspace(name) {
      if (!existsSync(join(root, name, "package.json"))) {
        const manifest = { name: `@lake-travis/${name}`, exports: { ".": "./src/index.ts" } };
        plant(`${name}/package.json`, JSON.stringify(manifest));
        linkWorkspace(root, name);
      }
      if (!existsSync(join(root, name, "src/index.ts")))
        plant(`${name}/src/index.ts`, "export type Planted = string;\n");
    },
    runCommand(command, parameters) {
      try {
        return execFileSync(join(root, "node_modules/.bin", command), parameters, {
          cwd: root,
          encoding: "utf8",
          maxBuffer: outputBytesMax,
          stdio: ["ignore", "pipe", "pipe"],
        });
      } catch (error) {
        // A check that finds something exits with an error; what it printed is the result.
        const { stdout, stderr } = error as { stdout?: string; stderr?: string };
        if (stdout === undefined || stderr === undefined) throw error;
        return stdout + stderr;
      }
    },
    remove() {
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function linkPackages(from: string, to: string): void {
  const modules = join(from, "node_modules");
  if (!existsSync(modules)) return;
  mkdirSync(join(to, "node_modules"), { recursive: true });
  for (const name of readdirSync(modules)) {
    if (name === "@lake-travis" || name === ".cache") continue;
    symlinkSync(join(modules, name), join(to, "node_modules", name));
  }
}

function linkWorkspace(root: string, name: string): void {
  const link = join(root, "node_modules/@lake-travis", name);
  if (!existsSync(link)) symlinkSync(join(root, name), link);
}
