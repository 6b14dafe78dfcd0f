import {
  type Address,
  domainOf,
  domainSeparatorOf,
  formatMorShort,
  type Hex,
  LakeError,
  signingKeyType,
  signMessage,
  type Signer,
} from "@lake-travis/protocol";
import type { ChainClient, Contracts } from "@lake-travis/platform/chain";

/** What an account is on the chain. */
export interface NodeStanding {
  readonly role: "none" | "provider" | "router";
  readonly isSlashed: boolean;
  readonly signingKey: Address;
  readonly stake: bigint;
  readonly minimumStake: bigint;
  /** Wei of MOR and of the chain's coin that the account holds. */
  readonly mor: bigint;
  readonly coin: bigint;
}

/** One transaction that an account has to send. */
export interface PlannedTransaction {
  readonly contract: keyof Contracts;
  readonly method: string;
  readonly args: readonly unknown[];
  readonly says: string;
}

/** What is left to do on the chain before an account's signing key may make Offers. */
export interface RegistrationPlan {
  readonly account: Address;
  readonly transactions: readonly PlannedTransaction[];
  /** Wei of MOR that they lock up. */
  readonly stake: bigint;
  /** What their gas costs at today's price, in wei of the chain's coin; generous. */
  readonly gasWei: bigint;
}

/** No displaced Router: a Provider takes nobody's place. */
const nobody = "0x0000000000000000000000000000000000000000";
const providerRole = 1;
/** Twice what a registration with its approval was measured to take. */
const gasOfRegistration = 800_000n;

/** Reads what an account is; throws `chain-unreachable`. */
export async function readStanding(chain: ChainClient, account: Address): Promise<NodeStanding> {
  const [node, minimumStake, mor, coin] = await Promise.all([
    chain.read("nodeRegistry", "nodes", [account]),
    chain.read("nodeRegistry", "minimumStake", [providerRole]),
    chain.read("mor", "balanceOf", [account]),
    chain.provider.getBalance(account),
  ]);
  const { role, slashed, signingKey, stake } = node as {
    role: bigint;
    slashed: boolean;
    signingKey: string;
    stake: bigint;
  };
  return {
    role: role === 0n ? "none" : role === 1n ? "provider" : "router",
    isSlashed: slashed,
    signingKey: signingKey.toLowerCase() as Address,
    stake,
    minimumStake: minimumStake as bigint,
    mor: mor as bigint,
    coin,
  };
}

/**
 * Compares the chain with what has to be there. Throws `signer-wrong` where the account can never
 * be a Provider's.
 */
export async function planRegistration(
  chain: ChainClient,
  account: Address,
  signer: Signer,
): Promise<RegistrationPlan> {
  const standing = await readStanding(chain, account);
  refuseUnfit(account, standing);
  const transactions = transactionsFor(chain, { account, signer, standing });
  const stakes = transactions.some(({ method }) => method === "approve");
  const fees = await chain.provider.getFeeData();
  const gasPrice = fees.maxFeePerGas ?? fees.gasPrice ?? 0n;
  return {
    account,
    transactions,
    stake: stakes ? standing.minimumStake : 0n,
    gasWei: transactions.length === 0 ? 0n : gasPrice * gasOfRegistration,
  };
}

/** Throws `mor-missing` where an account cannot pay for a plan. */
export async function requireFunds(chain: ChainClient, plan: RegistrationPlan): Promise<void> {
  const { mor, coin } = await readStanding(chain, plan.account);
  if (mor < plan.stake) {
    const missing = formatMorShort(plan.stake - mor);
    throw new LakeError("mor-missing", `${plan.account} lacks ${missing} MOR for its stake.`, {
      advice: `Send it ${missing} MOR and some of the chain's coin for gas, then start again.`,
      data: { stakeWei: plan.stake.toString(), heldWei: mor.toString() },
    });
  }
  if (coin < plan.gasWei) {
    const missing = formatMorShort(plan.gasWei - coin);
    throw new LakeError("mor-missing", `${plan.account} cannot pay for gas.`, {
      advice: `Send it ${missing} of the chain's coin, then start again.`,
      data: { gasWei: plan.gasWei.toString(), heldWei: coin.toString() },
    });
  }
}

/** Sends a plan's transactions one after the other; throws `chain-refused` with the reason. */
export async function carryOut(
  chain: ChainClient,
  plan: RegistrationPlan,
  key: Hex,
): Promise<readonly Hex[]> {
  const sender = chain.as(key);
  const sent: Hex[] = [];
  for (const { contract, method, args } of plan.transactions) {
    sent.push((await sender.send(contract, method, args)).transaction);
  }
  return sent;
}

/** A plan's transactions as a wallet elsewhere can send them: target and data. */
export function describeTransactions(
  chain: ChainClient,
  plan: RegistrationPlan,
): readonly { readonly says: string; readonly to: string; readonly data: string }[] {
  return plan.transactions.map(({ contract, method, args, says }) => {
    const data = chain.contracts[contract].interface.encodeFunctionData(method, args);
    return { says, to: chain.deployment[contract], data };
  });
}

function refuseUnfit(account: Address, standing: NodeStanding): void {
  if (standing.isSlashed) {
    throw new LakeError("signer-wrong", `The account ${account} was slashed and stays so.`, {
      advice: "Use another wallet.",
    });
  }
  if (standing.role === "router") {
    throw new LakeError("signer-wrong", `The account ${account} is a Router's.`, {
      advice: "A node has one role; use another wallet for the Provider.",
    });
  }
}

function transactionsFor(
  chain: ChainClient,
  parts: {
    readonly account: Address;
    readonly signer: Signer;
    readonly standing: NodeStanding;
  },
): readonly PlannedTransaction[] {
  const { account, signer, standing } = parts;
  const { minimumStake, role, stake, signingKey } = standing;
  const separator = domainSeparatorOf(domainOf(chain.deployment));
  const { signature } = signMessage(separator, signingKeyType, { account }, signer);
  const sum = formatMorShort(minimumStake);
  const approve: PlannedTransaction = {
    contract: "mor",
    method: "approve",
    args: [chain.deployment.nodeRegistry, minimumStake],
    says: `let the Node Registry take ${sum} MOR`,
  };
  if (role === "none") {
    const args = [providerRole, signer.address, signature, minimumStake, nobody];
    const says = `stake ${sum} MOR and register the signing key ${signer.address}`;
    return [approve, { contract: "nodeRegistry", method: "register", args, says }];
  }
  const planned: PlannedTransaction[] = [];
  if (stake === 0n) {
    const says = `stake ${sum} MOR again`;
    const args = [minimumStake];
    planned.push(approve, { contract: "nodeRegistry", method: "addStake", args, says });
  }
  if (signingKey !== signer.address) {
    const says = `name ${signer.address} as signing key instead of ${signingKey}`;
    const args = [signer.address, signature];
    planned.push({ contract: "nodeRegistry", method: "rotateKey", args, says });
  }
  return planned;
}
