import { Command, Option } from "commander";
import { LakeError, parseMor, weiPerSecondDown } from "@lake-travis/protocol";
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
import { createNodeDirectory } from "@lake-travis/platform/chain";
import { type LakeOptions, openChain } from "./lake-context.ts";
import { LakeClient } from "../lake-client.ts";

interface UpOptions {
  readonly router: string;
  readonly host: string;
  readonly port: number;
  readonly maxPrice: string;
  readonly epochLimit: string;
  readonly debitCeiling: string;
  readonly idle: number;
  readonly logFile?: string;
}

/** A Delegation lasts a month; losing its key can cost at most its limits meanwhile. */
const delegationLifetimeMs = 30 * 86_400_000;

/** `lake up`: the local OpenAI endpoint. */
export function createUpCommand(lake: Command): Command {
  return new Command("up")
    .description("Serve the local OpenAI-compatible endpoint and pay Sessions for it.")
    .requiredOption("--router <url>", "the Router to ask")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .addOption(portOption())
    .option("--max-price <MOR>", "highest whole price in MOR an hour", "2")
    .option("--epoch-limit <MOR>", "most that may be spent in one epoch, allowance included", "5")
    .option("--debit-ceiling <MOR>", "most that may ever be taken from the deposit", "5")
    .option("--idle <seconds>", "close a Session after so long without a request", Number, 20)
    .option("--log-file <file>", "write the log there instead of to standard error")
    .addHelpText("after", `\nExample:\n  ${example}`)
    .action((options: UpOptions) =>
      runUntilStopped(() => up({ ...lake.opts<LakeOptions>(), ...options })),
    );
}

const example =
  "lake --wallet-key-file wallet.key --data-dir ~/.lake-travis/client " +
  "up --router http://127.0.0.1:8786";

function portOption(): Option {
  return new Option("--port <port>", "port to listen on").argParser(Number).default(8787);
}

function walletKeyFileOf({ walletKeyFile }: LakeOptions): string {
  if (walletKeyFile !== undefined) return walletKeyFile;
  throw new LakeError("argument-invalid", "A wallet has to sign a Delegation once.", {
    advice: "Name its key with --wallet-key-file before the command.",
  });
}

async function up(
  options: UpOptions & LakeOptions,
): Promise<{ stop(): Promise<void>; ready: Record<string, unknown> }> {
  const folder = await openDataFolder(options.dataDir);
  const chain = await openChain(options.deployment);
  const { deployment } = chain;
  const logger = createLogger({
    name: "client",
    ...(options.logFile === undefined ? {} : { file: options.logFile }),
  });
  const client = new LakeClient({
    deployment,
    dataDir: folder.path,
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
    wallet: () => signerFromKey(readKey(walletKeyFileOf(options))),
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
