/* `npm run torture -w router -- [--kills 100] [--json]` */
import { parseArgs } from "node:util";
import { torture } from "./torture.ts";

const { values } = parseArgs({
  options: { kills: { type: "string", default: "100" }, json: { type: "boolean", default: false } },
});
const kills = Number(values.kills);
const report = await torture(kills, (done) => {
  if (!values.json) process.stderr.write(`\r${done} of ${kills} kills`);
});
process.stdout.write(`${JSON.stringify({ torture: "router/kill", ...report })}\n`);
const good = report.lost === 0 && report.broken.length === 0 && report.stuck === 0;
process.exit(good && report.tickets > 0 ? 0 : 1);
