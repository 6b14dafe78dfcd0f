import { join } from "node:path";
import { Command, Option } from "commander";
import { parseMor, weiPerSecondDown } from "@lake-travis/protocol";
import {
  createLogger,
  nativeSignatures,
  openDataFolder,
  readKey,
  runUntilStopped,
  signerFromKey,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import {
  connectChain,
  createNodeDirectory,
  readDeployment,
  requireContracts,
} from "@lake-travis/platform/chain";
import { LakeClient } from "../lake-client.ts";

interface UpOptions {
  readonly deployment: string;
  readonly dataDir: string;
  readonly router: string;
  readonly host: string;
  readonly port: number;
  readonly walletKeyFile: string;
  readonly maxPrice: string;
  readonly epochLimit: string;
  readonly debitCeiling: string;
  readonly idle: number;
  readonly logFile?: string;
}

/** A Delegation lasts a month; losing its key can cost at most its limits meanwhile. */
const delegationLifetimeMs = 30 * 86_400_000;

/** `lake up`: the local OpenAI endpoint. */
export function createUpCommand(): Command {
  return new Command("up")
    .description("Serve the local OpenAI-compatible endpoint and pay Sessions for it.")
    .requiredOption("--deployment <file>", "the network's deployment file")
    .requiredOption("--router <url>", "the Router to ask")
    .requiredOption("--wallet-key-file <file>", "the wallet's private key, used once to delegate")
    .requiredOption("--data-dir <folder>", "where the Delegation is kept")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .addOption(portOption())
    .option("--max-price <MOR>", "highest whole price in MOR an hour", "2")
    .option("--epoch-limit <MOR>", "most that may be spent in one epoch, allowance included", "5")
    .option("--debit-ceiling <MOR>", "most that may ever be taken from the deposit", "5")
    .option("--idle <seconds>", "close a Session after so long without a request", Number, 20)
    .option("--log-file <file>", "write the log there instead of to standard error")
    .addHelpText("after", `\nExample:\n  ${example}`)
    .action((options: UpOptions) => runUntilStopped(() => up(options)));
}

const example =
  "lake up --deployment net.json --router http://127.0.0.1:8786 " +
  "--wallet-key-file wallet.key --data-dir ~/.lake-travis/client";

function portOption(): Option {
  return new Option("--port <port>", "port to listen on").argParser(Number).default(8787);
}

async function up(
  options: UpOptions,
): Promise<{ stop(): Promise<void>; ready: Record<string, unknown> }> {
  const folder = await openDataFolder(options.dataDir);
  const deployment = readDeployment(options.deployment);
  const chain = connectChain(deployment);
  await requireContracts(chain);
  const logger = createLogger({
    name: "client",
    ...(options.logFile === undefined ? {} : { file: options.logFile }),
  });
  const client = new LakeClient({
    deployment,
    dataDir: join(folder.path),
    routerUrl: options.router,
    host: options.host,
    port: options.port,
    idleMs: options.idle * 1000,
    maxWeiPerSecond: weiPerSecondDown(parseMor(options.maxPrice)),
    allowed: {
      epochLimit: parseMor(options.epochLimit),
      debitCeiling: parseMor(options.debitCeiling),
      lifetimeMs: delegationLifetimeMs,
    },
    wallet: () => signerFromKey(readKey(options.walletKeyFile)),
    clock: systemClock,
    random: systemRandom,
    signatures: nativeSignatures,
    directory: createNodeDirectory(chain),
    logger,
  });
  await client.start();
  process.stdout.write(`OpenAI endpoint: ${client.endpoint}\n`);
  return {
    ready: { endpoint: client.endpoint },
    stop: async () => {
      await client.stop();
      chain.close();
      folder.close();
    },
  };
}
