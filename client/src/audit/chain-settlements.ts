import { Result } from "ethers";
import {
  type Address,
  domainOf,
  domainSeparatorOf,
  type Hex,
  LakeError,
  messageHash,
  type Settlement,
  settlementType,
} from "@lake-travis/protocol";
import { chainError, type ChainClient } from "@lake-travis/platform/chain";

/** A settlement as the chain holds it. */
export interface PostedSettlement {
  readonly settlement: Settlement;
  readonly hash: Hex;
  readonly transaction: Hex;
  readonly state: "pending" | "final";
}

/**
 * All settlements of a network that were not voided, oldest first. Throws `chain-unreachable`, and
 * `audit-differs` where the chain's own hash of one is not that of its fields.
 */
export async function readSettlements(chain: ChainClient): Promise<PostedSettlement[]> {
  const { computeContract } = chain.contracts;
  const { deployBlock } = chain.deployment;
  const separator = domainSeparatorOf(domainOf(chain.deployment));
  const read = async (name: string): Promise<readonly { args: Result; transaction: Hex }[]> => {
    const filter = computeContract.filters[name]?.();
    if (filter === undefined) throw new Error(`the ABI has no ${name}`);
    const logs = await computeContract.queryFilter(filter, deployBlock);
    return logs.flatMap((log) => {
      const parsed = computeContract.interface.parseLog(log);
      return parsed === null
        ? []
        : [{ args: parsed.args, transaction: log.transactionHash as Hex }];
    });
  };
  try {
    const [posted, finalised, voided] = await Promise.all([
      read("SettlementPosted"),
      read("SettlementFinalised"),
      read("SettlementVoided"),
    ]);
    const final = new Set(finalised.map(({ args }) => lower(args["digest"])));
    const gone = new Set(voided.map(({ args }) => lower(args["digest"])));
    return posted
      .map(({ args, transaction }): PostedSettlement => {
        const hash = lower(args["digest"]);
        const settlement = settlementFrom(args["settlement"] as Result);
        requireHash(messageHash(separator, settlementType, settlement), hash);
        return { settlement, hash, transaction, state: final.has(hash) ? "final" : "pending" };
      })
      .filter(({ hash }) => !gone.has(hash));
  } catch (error) {
    throw chainError(error, computeContract);
  }
}

/** Who signs for each Provider now. Throws `chain-unreachable`. */
export async function readSigningKeys(
  chain: ChainClient,
  providers: readonly Address[],
): Promise<Map<Address, Address | undefined>> {
  const keys = new Map<Address, Address | undefined>();
  for (const provider of new Set(providers)) {
    const node = (await chain.read("nodeRegistry", "nodes", [provider])) as { signingKey: string };
    const key = lower(node.signingKey);
    keys.set(provider, /^0x0+$/.test(key) ? undefined : key);
  }
  return keys;
}

function requireHash(computed: Hex, published: Hex): void {
  if (computed === published) return;
  throw new LakeError(
    "audit-differs",
    "A settlement's hash on the chain is not that of its fields.",
    {
      data: { published, computed },
    },
  );
}

function settlementFrom(args: Result): Settlement {
  const totals = args["totals"] as Result;
  const bytes32 = (name: string): Hex => lower(args[name]);
  return {
    epoch: Number(args["epoch"]),
    round: Number(args["round"]),
    previous: bytes32("previous"),
    sealsHash: bytes32("sealsHash"),
    creditRoot: bytes32("creditRoot"),
    debitRoot: bytes32("debitRoot"),
    recordRoot: bytes32("recordRoot"),
    recordCid: bytes32("recordCid"),
    rules: bytes32("rules"),
    baselineHash: bytes32("baselineHash"),
    totals: {
      allowanceCredits: totals["allowanceCredits"] as bigint,
      modelEmission: totals["modelEmission"] as bigint,
      agentEmission: totals["agentEmission"] as bigint,
      paidCredits: totals["paidCredits"] as bigint,
      debits: totals["debits"] as bigint,
      deposits: Number(totals["deposits"]),
    },
  };
}

function lower(value: unknown): Hex {
  return String(value).toLowerCase() as Hex;
}
