import { fileURLToPath } from "node:url";
import { cruiseImports } from "./cruise-imports.ts";

// Far fewer modules than the tree has: below it the tool has gone blind, not the tree clean.
const modulesMin = 60;

const { modules, violations } = cruiseImports(fileURLToPath(new URL("..", import.meta.url)));
for (const { rule, from, to } of violations)
  console.error(from === to ? `${rule}: ${from}` : `${rule}: ${from} -> ${to}`);
if (modules < modulesMin) console.error(`Only ${modules} modules were seen; expected many more.`);
console.log(`Import rules: ${modules} modules, ${violations.length} violations.`);
process.exitCode = violations.length > 0 || modules < modulesMin ? 1 : 0;
