import { fileURLToPath } from "node:url";
import { listSources, styleFaultsUnder } from "./style-rules.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const faults = styleFaultsUnder(root);
for (const { rule, message } of faults) console.error(`${rule}: ${message}`);
console.log(`Style: ${listSources(root).length} files, ${faults.length} faults.`);
process.exitCode = faults.length > 0 ? 1 : 0;
