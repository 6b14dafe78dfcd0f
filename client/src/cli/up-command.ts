import { createHash } from "node:crypto";
import { Command, InvalidArgumentError, Option } from "commander";
import { type Hex, LakeError, parseMor, toHex } from "@lake-travis/protocol";
import { openDataFolder, runUntilStopped, systemRandom } from "@lake-travis/platform";
import type { EndpointKey } from "../ledger/spend-guard.ts";
import type { WalletPlace } from "../wallet/open-wallet.ts";
import type { LakeContext } from "./lake-context.ts";
import { openNode } from "./open-node.ts";
import { forgetEndpoint, noteEndpoint } from "./running-endpoint.ts";
import type { UserPlace } from "./user-place.ts";

interface UpOptions {
  readonly router?: string;
  readonly host?: string;
  readonly port?: number;
  readonly maxPrice?: string;
  readonly epochLimit?: string;
  readonly debitCeiling?: string;
  readonly idle?: number;
  readonly logFile?: string;
}

/** `lake up`: the local OpenAI endpoint. */
export function createUpCommand(context: LakeContext, lake: Command): Command {
  return new Command("up")
    .description("serve the local OpenAI-compatible endpoint and pay Sessions for it")
    .option("--router <url>", "the Router to ask")
    .option("--host <address>", "address to listen on (127.0.0.1)")
    .addOption(new Option("--port <port>", "port to listen on (8787)").argParser(wholeNumber))
    .option("--max-price <MOR>", "highest whole price in MOR an hour (2)")
    .option("--epoch-limit <MOR>", "most to spend in one epoch, allowance included (5)")
    .option("--debit-ceiling <MOR>", "most that may ever be taken from the deposit (5)")
    .addOption(
      new Option("--idle <seconds>", "close an unused Session after (20)").argParser(wholeNumber),
    )
    .option("--log-file <file>", "write the log there instead of to standard error")
    .addHelpText("after", examples)
    .action((options: UpOptions) => {
      if (options.router !== undefined) lake.setOptionValue("router", options.router);
      return runUntilStopped(() => up(context, options));
    });
}

const examples = `
Examples:
  lake up
  lake up --port 9000 --max-price 0.5
  lake --wallet-key-file wallet.json --passphrase-file passphrase.txt up --host 0.0.0.0

Then point any OpenAI client at http://127.0.0.1:8787/v1.`;

function wholeNumber(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}

async function up(
  context: LakeContext,
  options: UpOptions,
): Promise<{ stop(): Promise<void>; ready: Record<string, unknown> }> {
  const place = context.place();
  const folder = await openDataFolder(place.dataDir);
  const { config } = place;
  const mor = (text: string | undefined): bigint | undefined =>
    text === undefined ? undefined : parseMor(text);
  const own = config.keys === undefined || config.keys.length === 0 ? undefined : ownKey();
  const wishes = {
    listen: {
      host: options.host ?? config.host ?? "127.0.0.1",
      port: options.port ?? config.port ?? 8787,
    },
    keys: own === undefined ? [] : [own.key],
    ...given("maxPrice", mor(options.maxPrice)),
    ...given("epochLimit", mor(options.epochLimit)),
    ...given("debitCeiling", mor(options.debitCeiling)),
    ...given("idleSeconds", options.idle),
    ...given("logFile", options.logFile),
  };
  try {
    const node = await openNode(context, wishes);
    const { endpoint } = node.client;
    noteEndpoint(folder.path, {
      pid: process.pid,
      endpoint,
      router: node.routerUrl,
      deployment: place.deploymentPath,
      wallet: walletIf(place),
      bearer: own?.bearer ?? null,
    });
    process.stdout.write(`OpenAI endpoint: ${endpoint}\n`);
    const stop = async (): Promise<void> => {
      forgetEndpoint(folder.path);
      await node.stop();
      await context.close();
      folder.close();
    };
    return { ready: { endpoint }, stop };
  } catch (error) {
    await context.close();
    folder.close();
    throw error;
  }
}

/** This machine's own commands get a key of their own, so that they need none by hand. */
function ownKey(): { readonly bearer: string; readonly key: EndpointKey } {
  const bearer = `lk-${toHex(systemRandom.bytes(24)).slice(2)}`;
  return { bearer, key: { name: "lake", sha256: bearerHash(bearer) } };
}

/** What is kept of a bearer key. */
export function bearerHash(bearer: string): Hex {
  return toHex(createHash("sha256").update(bearer).digest());
}

function walletIf(place: UserPlace): WalletPlace | null {
  try {
    return place.wallet();
  } catch (error) {
    // A Delegation that still holds needs no wallet.
    if (error instanceof LakeError && error.code === "wallet-missing") return null;
    throw error;
  }
}

function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): Partial<Record<Name, Value>> {
  return value === undefined ? {} : ({ [name]: value } as Partial<Record<Name, Value>>);
}
