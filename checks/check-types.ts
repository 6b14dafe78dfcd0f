import { fileURLToPath } from "node:url";
import { typeFaultsUnder } from "./type-faults.ts";

const { files, faults } = typeFaultsUnder(fileURLToPath(new URL("..", import.meta.url)));
for (const fault of faults) console.error(fault);
console.log(`Types: ${files} files, ${faults.length} errors.`);
process.exitCode = faults.length > 0 || files === 0 ? 1 : 0;
