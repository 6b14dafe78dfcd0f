/*
 * What has to be on the chain before the first Session: emissions, stakes, the Builder's and the
 * User's MOR, the User's deposit. Every step looks first, so that a second start changes nothing.
 */
import { parseEther, toQuantity } from "ethers";
import {
  type Address,
  domainOf,
  domainSeparatorOf,
  epochAt,
  signingKeyType,
  signMessage,
} from "@lake-travis/protocol";
import { loadOrCreateKey, signerFromKey } from "@lake-travis/platform";
import type { ChainClient, ChainSender } from "@lake-travis/platform/chain";
import { join } from "node:path";
import { type Actor, type ActorName, actorNames, nodeFolder } from "./actors.ts";
import { localTerms } from "./local-terms.ts";
import { verify } from "./step-printer.ts";

/** The local network's wallets. */
export type Actors = Readonly<Record<ActorName, Actor>>;

/** Gives every wallet coin for gas; anvil lets its owner do that. */
export async function giveGas(chain: ChainClient, actors: Actors): Promise<void> {
  for (const name of actorNames) {
    const { account } = actors[name];
    if ((await chain.provider.getBalance(account)) >= parseEther("1")) continue;
    await chain.provider.send("anvil_setBalance", [account, toQuantity(localTerms.gasCoin)]);
  }
}

/** Mints what is due and gives the first budget its base; returns the compute pool in wei. */
export async function fundPool(chain: ChainClient, deployer: ChainSender): Promise<bigint> {
  const due = await isEmissionDue(chain);
  if (due) await deployer.send("mor", "emitDue");
  const book = (await chain.read("computeContract", "finalSettlement")) as { postedAt: bigint };
  const epoch = epochAt(chain.deployment.schedule, await chainNow(chain));
  const budget = await budgetOrZero(chain, epoch + 1);
  if (book.postedAt === 0n && budget === 0n) await deployer.send("computeContract", "checkpoint");
  return (await chain.read("computeContract", "computePool")) as bigint;
}

/** The chain's own time in unix milliseconds. */
export async function chainNow(chain: ChainClient): Promise<number> {
  const block = await chain.provider.getBlock("latest");
  return (block?.timestamp ?? 0) * 1000;
}

/** Stakes a node from its cold account and names the signing key in its folder. */
export async function register(
  chain: ChainClient,
  actor: Actor,
  options: { readonly role: 1 | 2; readonly stake: bigint; readonly dataDir: string },
): Promise<Address> {
  const key = signerFromKey(
    loadOrCreateKey(join(nodeFolder(options.dataDir, actor.name), "signing.key")),
  );
  const node = (await chain.read("nodeRegistry", "nodes", [actor.account])) as {
    signingKey: string;
    stake: bigint;
  };
  if (node.stake === 0n) {
    const separator = domainSeparatorOf(domainOf(chain.deployment));
    const consent = signMessage(separator, signingKeyType, { account: actor.account }, key);
    const sender = chain.as(actor.key);
    await sender.send("mor", "approve", [chain.deployment.nodeRegistry, options.stake]);
    const args = [options.role, key.address, consent.signature, options.stake, nobody];
    await sender.send("nodeRegistry", "register", args);
  }
  const now = (await chain.read("nodeRegistry", "nodes", [actor.account])) as {
    signingKey: string;
    stake: bigint;
  };
  verify(now.signingKey.toLowerCase() === key.address, `${actor.name} signs with its own key`);
  verify(now.stake >= options.stake, `${actor.name} has staked`);
  return key.address;
}

/** Tops an account up to `wei` of MOR from the faucet (the capital bucket's owner). */
export async function giveMor(
  chain: ChainClient,
  capital: ChainSender,
  to: Address,
  wei: bigint,
): Promise<void> {
  const has = await morOf(chain, to);
  if (has < wei) await capital.send("mor", "transfer", [to, wei - has]);
}

/** The wei of MOR that an account holds. */
export async function morOf(chain: ChainClient, account: Address): Promise<bigint> {
  return (await chain.read("mor", "balanceOf", [account])) as bigint;
}

/** Puts the User's deposit into the Compute Contract once; returns what it holds in wei. */
export async function deposit(chain: ChainClient, user: Actor): Promise<bigint> {
  const known = await depositOf(chain, user.account);
  if (known !== undefined) return known;
  const sender = chain.as(user.key);
  const { computeContract } = chain.deployment;
  await sender.send("mor", "approve", [computeContract, localTerms.deposit]);
  await sender.send("computeContract", "deposit", [localTerms.deposit]);
  const made = await depositOf(chain, user.account);
  verify(made === localTerms.deposit, "the deposit is in the Compute Contract");
  return made;
}

const nobody = "0x0000000000000000000000000000000000000000";

async function depositOf(chain: ChainClient, owner: Address): Promise<bigint | undefined> {
  try {
    const number = await chain.read("computeContract", "numberOf", [owner]);
    const record = (await chain.read("computeContract", "depositOf", [number])) as {
      deposited: bigint;
      withdrawn: bigint;
    };
    return record.deposited - record.withdrawn;
  } catch (error) {
    if (String(error).includes("DepositUnknown")) return undefined;
    throw error;
  }
}

async function isEmissionDue(chain: ChainClient): Promise<boolean> {
  const emitted = Number(await chain.read("mor", "emittedDays"));
  const day = epochAt(chain.deployment.schedule, await chainNow(chain));
  return emitted < lastEmissionDay && day + 1 > emitted;
}

/** DevMor emits on days 0 to 5,832. */
const lastEmissionDay = 5_833;

async function budgetOrZero(chain: ChainClient, epoch: number): Promise<bigint> {
  try {
    return (await chain.read("computeContract", "budgetOf", [epoch])) as bigint;
  } catch (error) {
    // Before the first checkpoint the contract knows no budget at all.
    if (String(error).includes("BudgetForgotten")) return 0n;
    throw error;
  }
}
