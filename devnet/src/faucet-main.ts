/*
 * The local network's faucet: gives an address MOR from the capital bucket's owner and coin for
 * gas. There is nothing like it on a real chain.
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { parseEther, toQuantity } from "ethers";
import { formatMor, isHex, LakeError, parseMor } from "@lake-travis/protocol";
import { readKey, reportFailure } from "@lake-travis/platform";
import { connectChain, readDeployment } from "@lake-travis/platform/chain";
import { giveMor, morOf } from "./ground-work.ts";
import { localTerms } from "./local-terms.ts";

interface FaucetOptions {
  readonly dataDir: string;
  readonly mor: string;
}

const command = new Command("npm run faucet --")
  .description("Give an address of the local network MOR and coin for gas.")
  .argument("<address>", "who gets it")
  .option("--data-dir <folder>", "the local network", join(homedir(), ".lake-travis", "devnet"))
  .option("--mor <MOR>", "top up to so much MOR", "200")
  .action(give);

try {
  await command.parseAsync();
} catch (error) {
  reportFailure(error);
  process.exitCode = 1;
}

async function give(text: string, options: FaucetOptions): Promise<void> {
  const address = text.toLowerCase();
  if (!isHex(address, 20)) {
    throw new LakeError("argument-invalid", `${text.slice(0, 50)} is not an address of 20 bytes.`);
  }
  const dataDir = resolve(options.dataDir);
  const path = join(dataDir, "deployment.json");
  if (!existsSync(path)) {
    throw new LakeError("argument-invalid", `There is no local network in ${dataDir}.`, {
      advice: "Start it with npm start, or name its folder with --data-dir.",
    });
  }
  const chain = connectChain(readDeployment(path));
  try {
    if ((await chain.provider.getBalance(address)) < parseEther("1")) {
      const coin = toQuantity(localTerms.gasCoin);
      await chain.provider.send("anvil_setBalance", [address, coin]);
    }
    const capital = chain.as(readKey(join(dataDir, "wallets", "capital.key")));
    await giveMor(chain, capital, address, parseMor(options.mor));
    const mor = formatMor(await morOf(chain, address));
    process.stdout.write(`${address} holds ${mor} MOR.\n`);
  } finally {
    chain.close();
  }
}
