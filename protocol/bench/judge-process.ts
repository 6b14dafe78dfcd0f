/* Runs `lake judge FILE` in this process and says on standard error what it took. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const lake = join(import.meta.dirname, "../../client/src/main.ts");
process.argv = [process.argv[0] ?? "node", lake, "judge", process.argv[2] ?? ""];
process.once("exit", () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const figures = {
    seconds: performance.now() / 1000,
    cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
    rssMb: maxRSS / 1024,
  };
  process.stderr.write(`\n${JSON.stringify(figures)}\n`);
});
await import(pathToFileURL(lake).href);
