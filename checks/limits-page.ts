/* Writes LIMITS.md from the `limits` objects in the code, so that the page cannot drift away. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** Where limits are named, in the order of the page. */
const sources = [
  "protocol/src/limits.ts",
  "protocol/src/inference/inference-limits.ts",
  "protocol/src/record-limits.ts",
  "protocol/src/verdicts/limits.ts",
  "platform/src/http/serve-limits.ts",
  "registry/src/limits.ts",
  "router/src/limits.ts",
  "router/src/core/core-limits.ts",
  "provider/src/limits.ts",
  "provider/src/operate/limits.ts",
  "client/src/limits.ts",
];

const root = fileURLToPath(new URL("..", import.meta.url));

/** The whole page as it should be. */
export function limitsPage(): string {
  const sections = sources.filter((path) => existsSync(root + path)).map(sectionOf);
  return [
    "# Limits",
    "",
    "Every bound that the code names for the whole of a part, with its reason. Bounds of a single",
    "function stand beside it. Written by `npm run limits`; a test keeps page and code equal.",
    "",
    ...sections,
  ].join("\n");
}

function sectionOf(path: string): string {
  const text = readFileSync(root + path, "utf8");
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const rows: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAssignment(node)) rows.push(rowOf(node, file));
    else ts.forEachChild(node, visit);
  };
  visit(file);
  return [`## ${path}`, "", "| Limit | Value | Why |", "|---|---|---|", ...rows, ""].join("\n");
}

function rowOf(node: ts.PropertyAssignment, file: ts.SourceFile): string {
  const comments = ts.getLeadingCommentRanges(file.text, node.getFullStart()) ?? [];
  const why = comments
    .map(({ pos, end }) => file.text.slice(pos, end))
    .join(" ")
    .replace(/\/\*\*?|\*\/|^\s*\/\/|\n\s*\*/gm, " ")
    .replace(/\s+/g, " ")
    .trim();
  const value = node.initializer.getText(file).replace(/\s+/g, " ");
  return `| \`${node.name.getText(file)}\` | \`${value}\` | ${why.replaceAll("|", "\\|")} |`;
}

if (process.argv[2] === "--write") writeFileSync(`${root}LIMITS.md`, limitsPage());
