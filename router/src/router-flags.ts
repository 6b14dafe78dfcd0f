import { parseArgs } from "node:util";
import { type Address, isHex, LakeError } from "@lake-travis/protocol";
import { routerLimits } from "./limits.ts";

/** What the Router's process is told on its command line. */
export interface RouterFlags {
  readonly deployment: string;
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly account: Address;
  readonly posterKeyFile: string | undefined;
  readonly logFile: string | undefined;
  readonly requestsPerSecondMax: number;
  /** Where the public record is kept for queries; undefined: SQLite in the data folder. */
  readonly databaseUrl: string | undefined;
  readonly rebuildsProjection: boolean;
  /** Processes that share the Users; 1: this one alone. */
  readonly shards: number;
  /** Which of them this one is; undefined: the front, or the only one. */
  readonly shard: number | undefined;
}

/** How the Router's process is called. */
const routerUsage = [
  "Usage: node router/src/main.ts --deployment <file.json> --data-dir <folder> --account <address>",
  "         [--host 127.0.0.1] [--port 8788] [--poster-key-file <file>] [--log-file <file>]",
  "         [--requests-per-second 200]   per address, and per signing key",
  "         [--database-url postgres://…]  for queries; SQLite in <folder> unless told otherwise",
  "         [--rebuild-projection]         make the tables of that database anew",
  "         [--shards 1]                   processes that share the Users; needs PostgreSQL",
  "The signing key is made in <folder>/signing.key; register its address for the account.",
].join("\n");

/** Reads the command line; throws `argument-invalid` naming the flag. */
export function readRouterFlags(args: readonly string[]): RouterFlags {
  const values = parse(args);
  const need = (name: "deployment" | "data-dir" | "account"): string => {
    const value = values[name];
    if (value === undefined || value === "") throw invalid(`--${name} is missing.`);
    return value;
  };
  const account = need("account").toLowerCase();
  if (!isHex(account, 20)) throw invalid("--account must be an address of 20 bytes.");
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw invalid("--port must be a whole number from 0 to 65535.");
  }
  const perSecond = Number(values["requests-per-second"]);
  if (!Number.isInteger(perSecond) || perSecond < 1) {
    throw invalid("--requests-per-second must be a whole number above 0.");
  }
  const databaseUrl = values["database-url"];
  const shards = Number(values.shards);
  if (!Number.isInteger(shards) || shards < 1 || shards > routerLimits.shardsMax) {
    throw invalid(`--shards must be a whole number from 1 to ${routerLimits.shardsMax}.`);
  }
  if (shards > 1 && !/^postgres(ql)?:/.test(databaseUrl ?? "")) {
    throw invalid("Several shards share one database: --shards needs --database-url postgres://…");
  }
  const shard = values.shard === undefined ? undefined : Number(values.shard);
  if (shard !== undefined && !(Number.isInteger(shard) && shard >= 0 && shard < shards)) {
    throw invalid("--shard must be a whole number below --shards.");
  }
  return {
    shards,
    shard,
    deployment: need("deployment"),
    dataDir: need("data-dir"),
    host: values.host,
    port,
    account,
    posterKeyFile: values["poster-key-file"],
    logFile: values["log-file"],
    requestsPerSecondMax: perSecond,
    databaseUrl,
    rebuildsProjection: values["rebuild-projection"],
  };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        deployment: { type: "string" },
        "data-dir": { type: "string" },
        host: { type: "string", default: "127.0.0.1" },
        port: { type: "string", default: "8788" },
        account: { type: "string" },
        "poster-key-file": { type: "string" },
        "log-file": { type: "string" },
        "database-url": { type: "string" },
        shards: { type: "string", default: "1" },
        // Set by the front for the processes that it starts.
        shard: { type: "string" },
        "rebuild-projection": { type: "boolean", default: false },
        "requests-per-second": {
          type: "string",
          default: String(routerLimits.requestsPerSecondMax),
        },
      },
    });
    return values;
  } catch (cause) {
    throw invalid((cause as Error).message.split("\n")[0] ?? "A flag is wrong.", cause);
  }
}

function invalid(sentence: string, cause?: unknown): LakeError {
  return new LakeError("argument-invalid", sentence, { advice: routerUsage, cause });
}
