import type { Address, ChainReceipt, Hex } from "@lake-travis/protocol";
import { LakeError } from "@lake-travis/protocol";
import { chainError, type ChainClient, type Contracts } from "@lake-travis/platform/chain";
import type { OpenedWallet } from "./open-wallet.ts";

/** A wallet's owner may take a while, and then a block has to be mined. */
const minedMsMax = 180_000;

/** Sends a transaction from the wallet and waits until it is mined. Throws `chain-refused`. */
export async function sendFromWallet(
  chain: ChainClient,
  { wallet, key }: OpenedWallet,
  call: {
    readonly contract: keyof Contracts;
    readonly method: string;
    readonly args: readonly unknown[];
  },
): Promise<ChainReceipt> {
  const { args, contract, method } = call;
  if (key !== undefined) return chain.as(key).send(contract, method, args);
  if (wallet.send === undefined) {
    throw new LakeError("wallet-unreachable", "This wallet signs messages only.");
  }
  const target = chain.contracts[contract];
  try {
    // Refused here it costs no gas, and the contract's reason is known.
    await target.getFunction(method).staticCall(...args, { from: wallet.address });
    const hash = await wallet.send({
      chainId: chain.deployment.chainId,
      to: chain.deployment[contract] satisfies Address,
      data: target.interface.encodeFunctionData(method, args) as Hex,
    });
    const receipt = await chain.provider.waitForTransaction(hash, 1, minedMsMax);
    if (receipt === null || receipt.status !== 1) {
      throw new LakeError("chain-refused", `The transaction ${hash} failed on the chain.`);
    }
    return { transaction: hash, block: receipt.blockNumber, gasUsed: Number(receipt.gasUsed) };
  } catch (error) {
    throw chainError(error, target);
  }
}
