import { mkdirSync } from "node:fs";
import { LakeError, parseMor, weiPerSecondDown } from "@lake-travis/protocol";
import {
  createLogger,
  folderError,
  type Logger,
  nativeSignatures,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import { createNodeDirectory } from "@lake-travis/platform/chain";
import { LakeClient } from "../lake-client.ts";
import { LedgerStore } from "../ledger/ledger-store.ts";
import { settleLedger } from "../ledger/settle-ledger.ts";
import { SpendLedger } from "../ledger/spend-ledger.ts";
import type { EndpointKey } from "../ledger/spend-guard.ts";
import type { LakeContext } from "./lake-context.ts";

/** Prices and limits of a node; amounts are wei of MOR. What is absent is as configured. */
export interface NodeWishes {
  readonly listen?: { readonly host: string; readonly port: number };
  readonly logFile?: string;
  readonly keys?: readonly EndpointKey[];
  readonly maxPrice?: bigint;
  readonly epochLimit?: bigint;
  readonly debitCeiling?: bigint;
  readonly idleSeconds?: number;
}

/** A User's node in this process. */
export interface OpenNode {
  readonly client: LakeClient;
  readonly ledger: SpendLedger;
  readonly routerUrl: string;
  stop(): Promise<void>;
}

/** What holds where neither the command line nor the configuration says anything. */
const defaults = {
  maxPrice: parseMor("2"),
  epochLimit: parseMor("5"),
  debitCeiling: parseMor("5"),
  /** A Delegation lasts a month; losing its key can cost at most its limits meanwhile. */
  delegationDays: 30,
  idleSeconds: 20,
} as const;

const dayMs = 86_400_000;
/** The Router knows a charge some seconds after a Session has ended. */
const settleEveryMs = 10_000;

/** Starts a node; with `listen` it serves OpenAI clients. Says what is wrong before it pays. */
export async function openNode(context: LakeContext, wishes: NodeWishes): Promise<OpenNode> {
  const place = context.place();
  const { config, dataDir } = place;
  const logger = createNodeLogger(wishes);
  const chain = await context.chain();
  const routerUrl = place.routerUrl();
  makeFolder(dataDir);
  const store = new LedgerStore(place.ledgerPath);
  const ledger = new SpendLedger({
    store,
    clock: systemClock,
    dailyLimit: config.dailyLimit ?? null,
    warn: (sentence) => {
      logger.warn({ what: sentence }, "SpendLimitNear");
      if (!context.json) context.terminal.say(sentence);
    },
  });
  const keys = [...(config.keys ?? []), ...(wishes.keys ?? [])];
  const client = new LakeClient({
    deployment: chain.deployment,
    dataDir,
    routerUrl,
    ...(wishes.listen === undefined ? {} : { listen: wishes.listen }),
    idleMs: (wishes.idleSeconds ?? config.idleSeconds ?? defaults.idleSeconds) * 1000,
    maxWeiPerSecond: weiPerSecondDown(wishes.maxPrice ?? config.maxPrice ?? defaults.maxPrice),
    allowed: {
      epochLimit: wishes.epochLimit ?? config.epochLimit ?? defaults.epochLimit,
      debitCeiling: wishes.debitCeiling ?? config.debitCeiling ?? defaults.debitCeiling,
      lifetimeMs: (config.delegationDays ?? defaults.delegationDays) * dayMs,
    },
    wallet: async () => (await context.wallet()).wallet,
    clock: systemClock,
    random: systemRandom,
    signatures: nativeSignatures,
    directory: createNodeDirectory(chain),
    logger,
    guard: ledger,
    aliases: config.aliases ?? {},
    keys,
  });
  const settling = settleNowAndThen(store, routerUrl, logger);
  const stop = async (): Promise<void> => {
    await client.stop();
    await settling.stop();
    store.close();
  };
  try {
    await client.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return { client, ledger, routerUrl, stop };
}

function settleNowAndThen(
  store: LedgerStore,
  routerUrl: string,
  logger: Logger,
): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  const run = async (): Promise<void> => {
    try {
      if (store.unsettled(1).length === 0) return;
      const { disputed } = await settleLedger(store, routerUrl);
      for (const sessionId of disputed) logger.error({ sessionId }, "ChargedBeyondSignature");
    } catch (error) {
      // The Router may be away; what was signed stands in the ledger until it is back.
      const code = error instanceof LakeError ? error.code : "internal";
      logger.warn({ code }, "LedgerNotSettled");
    }
  };
  const timer = setInterval(() => {
    running = running.then(run);
  }, settleEveryMs);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}

function createNodeLogger({ listen, logFile }: NodeWishes): Logger {
  if (logFile !== undefined) return createLogger({ name: "client", file: logFile });
  // A command that prints an answer must not print a log between its words.
  return createLogger({ name: "client", level: listen === undefined ? "silent" : "info" });
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw folderError(path, cause);
  }
}
