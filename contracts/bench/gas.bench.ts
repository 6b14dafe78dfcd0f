// Gas of the verbs, first and steady, on a real chain (anvil), and a Session's share. Gas is
// exact: every run gives the same figures, so the committed snapshot must equal them.
import { readFileSync, writeFileSync } from "node:fs";
import { keccak256, toUtf8Bytes } from "ethers";
import { startLocalChain, walletOf } from "./local-chain.ts";
import type { LocalChain } from "./local-chain.ts";
import { creditPath, debitPath, postSettlement, registerRouters } from "./settling.ts";
import type { RouterPair, Totals } from "./settling.ts";

/** Gas by name. */
export type GasTable = Record<string, number>;

const mor = 10n ** 18n;
// Merkle depth of 2^20 accounts, as the target says.
const depth = 20;
// Both books and all four checkpoints have been written once after this many settlements.
const warmUps = 5;
const salt = keccak256(toUtf8Bytes("salt"));
const snapshotFile = new URL("gas-snapshot.json", import.meta.url);
const routerCounts = [3, 5, 13];

/** Measures everything; `routerCounts` says with how many Routers signing. */
export async function measureGas(counts: readonly number[] = routerCounts): Promise<GasTable> {
  const table: GasTable = {};
  for (const count of counts) {
    const chain = await startLocalChain();
    try {
      Object.assign(
        table,
        await measureSettling(chain, await registerRouters(chain, count), count),
      );
      if (count === 5 || counts.length === 1) Object.assign(table, await measureModels(chain));
    } finally {
      await chain.stop();
    }
  }
  return table;
}

async function measureSettling(
  chain: LocalChain,
  routers: readonly RouterPair[],
  count: number,
): Promise<GasTable> {
  const { computeContract: compute } = chain;
  const table: GasTable = {};
  const put = async (name: string, method: string, args: readonly unknown[]): Promise<void> => {
    table[name] = await chain.gasOf(compute, method, args);
  };
  await chain.gasOf(chain.mor, "approve", [await compute.getAddress(), 10_000n * mor]);
  await put("deposit_first", "deposit", [100n * mor]);
  await put("deposit_steady", "deposit", [mor]);
  await put("top_up", "topUp", [0, mor]);
  await put("announce_withdrawal", "announceWithdrawal", [0, 10n * mor]);
  await chain.passEpochs(2);
  const account = walletOf("claimant", chain.provider).address;
  for (let i = 1; i <= warmUps; ++i) {
    const state = stateAt(BigInt(i), account);
    const gas = await postSettlement(chain, routers, state);
    if (i === 1) table[`settle_first_${String(count)}`] = gas;
    if (i === warmUps) table[`settle_${String(count)}`] = gas;
    await chain.passEpochs(1);
    const finality = await chain.gasOf(compute, "finalize", []);
    table[i === 1 ? "finalize_first" : "finalize_steady"] = finality;
    const claim = [account, state.credit, state.creditProof];
    table[i === 1 ? "claim_first" : "claim_steady"] = await chain.gasOf(compute, "claim", claim);
    const leaf = { cumulativeDebit: state.debit, salt, proof: state.debitProof };
    if (i === 1) await put("withdraw_first", "withdraw", [0, leaf]);
    else await put("collect_steady", "collect", [0, leaf]);
    await chain.passEpochs(1);
  }
  // Without an explicit `finalize`, the next settlement bears its cost.
  await postSettlement(chain, routers, stateAt(BigInt(warmUps + 1), account));
  await chain.passEpochs(2);
  table[`settle_and_finalize_${String(count)}`] = await postSettlement(
    chain,
    routers,
    stateAt(BigInt(warmUps + 2), account),
  );
  return table;
}

interface State {
  creditRoot: string;
  debitRoot: string;
  totals: Totals;
  credit: bigint;
  debit: bigint;
  creditProof: readonly string[];
  debitProof: readonly string[];
}

/** After `i` epochs: i MOR debited, 99.5% of it credited, at the depth of 2^20 leaves. */
function stateAt(i: bigint, account: string): State {
  const debit = i * mor;
  const credit = (debit * 995n) / 1000n;
  const credits = creditPath(account, credit, depth);
  const debits = debitPath(0n, debit, salt, depth);
  return {
    creditRoot: credits.root,
    debitRoot: debits.root,
    credit,
    debit,
    creditProof: credits.proof,
    debitProof: debits.proof,
    totals: {
      allowanceCredits: 0n,
      modelEmission: 0n,
      agentEmission: 0n,
      paidCredits: credit,
      debits: debit,
      deposits: 1n,
    },
  };
}

async function measureModels(chain: LocalChain): Promise<GasTable> {
  const { modelRegistry: models, deployer } = chain;
  const table: GasTable = {};
  const put = async (name: string, method: string, args: readonly unknown[]): Promise<void> => {
    table[name] = await chain.gasOf(models, method, args);
  };
  await chain.gasOf(chain.mor, "approve", [await models.getAddress(), 100n * mor]);
  const name = "lake/tiny";
  const { AbiCoder } = await import("ethers");
  const committed = AbiCoder.defaultAbiCoder().encode(
    ["address", "string", "bytes32"],
    [deployer.address, name, salt],
  );
  await put("name_commit", "commit", [keccak256(committed)]);
  await chain.provider.send("evm_mine", []);
  await put("name_claim", "claim", [name, salt]);
  const nothing = `0x${"00".repeat(32)}`;
  await put("publish", "publish", [name, "latest", 1, salt, salt, "", nothing]);
  await put("move_tag", "moveTag", [name, "v1", salt]);
  await put("set_price_first", "setPrice", [name, 1]);
  await chain.passEpochs(1);
  await put("set_price_steady", "setPrice", [name, 2]);
  table["emit_due"] = await chain.gasOf(chain.mor, "emitDue", []);
  return table;
}

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly runs: number;
  readonly min: number;
  readonly max: number;
}

/** BENCH.md's figures from the table. An Offer's price change is off chain: 0 gas. */
function figuresOf(table: GasTable): Figure[] {
  const figures: Figure[] = [];
  const put = (name: string, value: number): void => {
    figures.push({ name, value, unit: "gas", runs: 1, min: value, max: value });
  };
  const claim = table["claim_steady"] ?? 0;
  put("claim_gas_2e20", claim);
  put("price_change_gas", 0);
  for (const count of routerCounts) {
    const settle = table[`settle_${String(count)}`];
    if (settle === undefined) continue;
    // An epoch costs the posting and the finality of the one before, paid explicitly here.
    const epoch = settle + (table["finalize_steady"] ?? 0);
    put(`settle_gas_${String(count)}`, settle);
    const suffix = count === 5 ? "" : `_${String(count)}_routers`;
    for (const power of [3, 5, 6]) {
      put(`gas_per_session_1e${String(power)}${suffix}`, epoch / 10 ** power);
    }
    put(`gas_per_session_1e6_1000_claims${suffix}`, (epoch + 1000 * claim) / 1e6);
  }
  return figures;
}

if (process.argv[1] === import.meta.filename) {
  const quick = process.argv.includes("--quick");
  const table = await measureGas(quick ? [5] : routerCounts);
  if (process.argv.includes("--save")) {
    writeFileSync(snapshotFile, `${JSON.stringify(table, null, 2)}\n`);
  }
  if (!process.argv.includes("--json")) console.table(table);
  const snapshot = JSON.parse(readFileSync(snapshotFile, "utf8")) as GasTable;
  for (const [name, gas] of Object.entries(table)) {
    const was = snapshot[name] ?? 0;
    if (was !== gas) console.error(`${name}: ${String(gas)} gas, ${String(was)} in the snapshot`);
  }
  const workHash = keccak256(toUtf8Bytes(JSON.stringify(table)));
  console.log(JSON.stringify({ bench: "contracts/gas", workHash, figures: figuresOf(table) }));
}
