import { type Hex, LakeError } from "@lake-travis/protocol";
import { signerFromKey } from "@lake-travis/platform";
import { openKeystore, readPassphrase } from "./keystore.ts";
import type { ProviderConfig } from "./provider-config.ts";
import type { Terminal } from "./terminal.ts";

/**
 * The payout address's key, for one transaction. Throws `wallet-missing` where the keystore is
 * another one's or there is none, `keystore-invalid`, `passphrase-wrong`.
 */
export async function unlockWallet(config: ProviderConfig, terminal: Terminal): Promise<Hex> {
  const { account, keystore, passphraseFile } = config;
  if (keystore === undefined) {
    throw new LakeError("wallet-missing", "The configuration names no keystore to sign with.", {
      advice: "Name the wallet's keystore in it.",
    });
  }
  const passphrase = await readPassphrase(terminal, { file: passphraseFile, keystore });
  const key = await openKeystore(keystore, passphrase);
  const { address } = signerFromKey(key);
  if (address === account) return key;
  throw new LakeError("wallet-missing", `${keystore} holds ${address}, not ${account}.`, {
    advice: "Correct 'account' or 'keystore' in the configuration.",
  });
}
