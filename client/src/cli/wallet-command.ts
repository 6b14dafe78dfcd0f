import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command } from "commander";
import {
  domainOf,
  formatMor,
  revocationType,
  routerPaths,
  signedToJson,
} from "@lake-travis/protocol";
import { createHttpClient, generateKey } from "@lake-travis/platform";
import { isKeystoreText, readKeystore, requireNoFile, writeKeystore } from "../wallet/keystore.ts";
import { keyInText, readStandardInput } from "../wallet/open-wallet.ts";
import { readNewPassphrase, readPassphrase } from "../wallet/read-passphrase.ts";
import { sendFromWallet } from "../wallet/wallet-transaction.ts";
import type { LakeContext } from "./lake-context.ts";
import { heldDelegation, userAddress } from "./user-account.ts";
import { keystorePath } from "./user-place.ts";

interface FileOption {
  readonly file?: string;
}

/** `lake wallet new|import|show|revoke`. */
export function createWalletCommand(context: LakeContext, lake: Command): Command {
  const passphraseFile = (): string | undefined =>
    lake.opts<{ passphraseFile?: string }>().passphraseFile;
  const wallet = new Command("wallet")
    .description("the key that holds your MOR: make, bring, show it; take permissions back")
    .addHelpText("after", examples);
  wallet
    .command("new")
    .description("make a key and keep it in a keystore (V3, scrypt)")
    .option("--file <path>", "where to write it (wallet.json in the data folder)")
    .action((options: FileOption) =>
      writeWallet(context, options, passphraseFile(), () => Promise.resolve(generateKey())),
    );
  wallet
    .command("import")
    .description("keep an existing key: from a bare key, another keystore, or standard input")
    .argument("<source>", "file with a private key or a keystore; - reads standard input")
    .option("--file <path>", "where to write it (wallet.json in the data folder)")
    .action((source: string, options: FileOption) =>
      writeWallet(context, options, passphraseFile(), () => keyIn(context, source)),
    );
  wallet
    .command("show")
    .description("address, kind of wallet, and what its Delegation allows")
    .action(() => show(context));
  wallet
    .command("revoke")
    .description("take back every Delegation signed so far; open Sessions end at once")
    .option("--on-chain", "by a transaction too, which no Router can ignore", false)
    .option("--yes", "do not ask", false)
    .action((options: { readonly onChain: boolean; readonly yes: boolean }) =>
      revoke(context, options),
    );
  return wallet;
}

const examples = `
Examples:
  lake wallet new
  lake wallet import old-keystore.json
  lake --passphrase-file passphrase.txt wallet new --file /secure/wallet.json
  lake wallet revoke --on-chain

A wallet may also be a variable (LAKE_WALLET_KEY, for servers), a signer over JSON-RPC, or the
browser's: see wallet in docs/cli.md.`;

async function writeWallet(
  context: LakeContext,
  { file }: FileOption,
  passphraseFile: string | undefined,
  source: () => Promise<`0x${string}`>,
): Promise<void> {
  const { terminal } = context;
  const path = file ?? keystorePath(context.place().dataDir);
  requireNoFile(path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const key = await source();
  const passphrase = await readNewPassphrase({ file: passphraseFile, terminal });
  const address = await writeKeystore(path, key, passphrase);
  const advice = "Copy the file to a safe place: without it and its passphrase the MOR is lost.";
  terminal.result({ address, file: path }, `${address}\nWritten to ${path}. ${advice}`);
}

async function keyIn(context: LakeContext, source: string): Promise<`0x${string}`> {
  const text = source === "-" ? readStandardInput() : readFileSync(source, "utf8");
  if (!isKeystoreText(text)) return keyInText(text, source);
  const question = `Passphrase of ${source}: `;
  const { terminal } = context;
  return readKeystore(source, await readPassphrase({ question, file: undefined, terminal }));
}

async function show(context: LakeContext): Promise<void> {
  const place = context.place();
  const address = await userAddress(context);
  const wallet = place.wallet();
  const delegation = heldDelegation(place)?.signed.message;
  const where = "file" in wallet ? wallet.file : "url" in wallet ? wallet.url : "";
  const lines = [address as string, `${wallet.kind} ${where}`.trim()];
  if (delegation === undefined) lines.push("No Delegation yet: the first Session asks for one.");
  else {
    const { debitCeiling, epochLimit, expiresAt, sessionKey } = delegation;
    lines.push(
      `Delegated to ${sessionKey} until ${new Date(expiresAt).toISOString()}:`,
      `  at most ${formatMor(epochLimit)} MOR an epoch, free allowance included`,
      `  at most ${formatMor(debitCeiling)} MOR of the deposit in all`,
    );
  }
  const json = {
    address,
    kind: wallet.kind,
    delegation:
      delegation === undefined
        ? null
        : {
            ...delegation,
            epochLimit: delegation.epochLimit.toString(),
            debitCeiling: delegation.debitCeiling.toString(),
          },
  };
  context.terminal.result(json, lines.join("\n"));
}

async function revoke(
  context: LakeContext,
  { onChain, yes }: { readonly onChain: boolean; readonly yes: boolean },
): Promise<void> {
  const { terminal } = context;
  const place = context.place();
  await terminal.confirm("Take back every Delegation? Open Sessions end at once.", yes);
  const opened = await context.wallet();
  const { wallet } = opened;
  // Nonces are times, so this covers Delegations whose file is lost as well.
  const nonce = Math.max(Date.now(), heldDelegation(place)?.signed.message.nonce ?? 0);
  const message = { user: wallet.address, nonce };
  const signed = await wallet.sign(revocationType, message, domainOf(place.deployment()));
  let transaction: string | null = null;
  if (onChain) {
    const call = { contract: "computeContract", method: "revokeBelow", args: [nonce + 1] } as const;
    ({ transaction } = await sendFromWallet(await context.chain(), opened, call));
  }
  const http = createHttpClient({ unreachable: "router-unreachable" });
  try {
    const url = place.routerUrl().replace(/\/+$/, "") + routerPaths.revocations;
    await http.json("POST", url, signedToJson(revocationType, signed));
  } finally {
    await http.close();
  }
  const kept = join(place.dataDir, "delegation.json");
  if (existsSync(kept)) renameSync(kept, `${kept}.revoked`);
  const proof = transaction === null ? "" : ` (${transaction})`;
  terminal.result(
    { revoked: wallet.address, nonce, transaction },
    `Every Delegation of ${wallet.address} is taken back${proof}. The next Session asks anew.`,
  );
}
