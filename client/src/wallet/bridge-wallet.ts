import {
  type Address,
  digestOf,
  domainSeparatorOf,
  fromHex,
  type Hex,
  isHex,
  LakeError,
  type Signatures,
  toHex,
} from "@lake-travis/protocol";
import { typedDataOf } from "./typed-data.ts";
import type { UserWallet } from "./user-wallet.ts";

/** A wallet's JSON-RPC door, as EIP-1193 describes it. Throws what {@link bridgeError} makes. */
export interface WalletBridge {
  request(method: string, params: readonly unknown[]): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * A wallet whose key this process never sees. Whatever comes back is checked: a signature must be
 * the account's own over exactly what was asked.
 */
export async function openBridgeWallet(options: {
  readonly bridge: WalletBridge;
  readonly signatures: Signatures;
  readonly chainId: number;
}): Promise<UserWallet> {
  const { bridge, chainId, signatures } = options;
  const address = await askAccount(bridge);
  await askChain(bridge, chainId);
  return {
    address,
    async sign(type, message, domain) {
      const typed = JSON.stringify(typedDataOf(type, message, domain));
      const answer = await bridge.request("eth_signTypedData_v4", [address, typed]);
      const signature = signatureIn(answer);
      const digest = digestOf(domainSeparatorOf(domain), type, message);
      const signer = signatures.recover(digest, signature);
      if (signer === address) return { message, signature };
      throw new LakeError("signer-wrong", "The wallet signed something else or for someone else.", {
        advice: `Choose the account ${address} in the wallet and try again.`,
      });
    },
    async send({ to, data }) {
      const answer = await bridge.request("eth_sendTransaction", [{ from: address, to, data }]);
      if (isHex(answer, 32)) return answer;
      throw new LakeError("wallet-unreachable", "The wallet answered without a transaction.");
    },
    close: () => bridge.close(),
  };
}

/** Names what a wallet's refusal or silence means for a person. */
export function bridgeError(where: string, error: unknown): LakeError {
  if (error instanceof LakeError) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code === userRejected) {
    return new LakeError("wallet-refused", "The wallet's owner said no; nothing was signed.");
  }
  const reason = typeof message === "string" ? message.slice(0, 200) : "unknown";
  return new LakeError("wallet-unreachable", `The wallet at ${where} does not sign (${reason}).`, {
    advice: "Check that it runs, is unlocked, and knows this chain.",
    cause: error,
  });
}

/** EIP-1193: the user rejected the request. */
const userRejected = 4001;

async function askAccount(bridge: WalletBridge): Promise<Address> {
  const accounts = await bridge.request("eth_requestAccounts", []).catch((error: unknown) => {
    if (error instanceof LakeError && error.code === "wallet-refused") throw error;
    // Signers that are no browser wallets know only the older call.
    return bridge.request("eth_accounts", []);
  });
  const [first] = Array.isArray(accounts) ? (accounts as unknown[]) : [];
  const address = typeof first === "string" ? first.toLowerCase() : "";
  if (isHex(address, 20)) return address;
  throw new LakeError("wallet-unreachable", "The wallet shows no account.", {
    advice: "Unlock it and allow it to connect.",
  });
}

async function askChain(bridge: WalletBridge, chainId: number): Promise<void> {
  const wanted = `0x${chainId.toString(16)}`;
  const current = await bridge.request("eth_chainId", []).catch(() => undefined);
  if (current === undefined || Number(current) === chainId) return;
  try {
    await bridge.request("wallet_switchEthereumChain", [{ chainId: wanted }]);
  } catch (cause) {
    throw new LakeError("chain-wrong", `The wallet is on another chain than ${chainId}.`, {
      advice: "Switch it to this network's chain and try again.",
      cause,
    });
  }
}

function signatureIn(answer: unknown): Hex {
  const text = typeof answer === "string" ? answer.toLowerCase() : "";
  if (!isHex(text, 65)) {
    throw new LakeError("wallet-unreachable", "The wallet answered without a signature.", {
      advice: "Contract wallets cannot sign a Delegation; use an account with a key.",
    });
  }
  const bytes = fromHex(text);
  // Some wallets write the recovery bit as 0 or 1.
  if ((bytes[64] ?? 0) < 27) bytes[64] = (bytes[64] ?? 0) + 27;
  return toHex(bytes);
}
