import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startLocalChain } from "../bench/local-chain.ts";
import type { LocalChain } from "../bench/local-chain.ts";
import { creditPath, debitPath, postSettlement, registerRouters } from "../bench/settling.ts";
import type { RouterPair } from "../bench/settling.ts";

const mor = 10n ** 18n;
const salt = `0x${"5a".repeat(32)}`;

describe("an epoch on a real chain", () => {
  let chain: LocalChain;
  let routers: RouterPair[];

  before(async () => {
    chain = await startLocalChain();
    routers = await registerRouters(chain, 3);
  });
  after(async () => {
    await chain.stop();
  });

  it("is settled, becomes final, and pays a credit and a withdrawal", async () => {
    const { computeContract, mor: token, deployer } = chain;
    const compute = await computeContract.getAddress();
    await chain.gasOf(token, "approve", [compute, 100n * mor]);
    await chain.gasOf(computeContract, "deposit", [50n * mor]);
    await chain.gasOf(computeContract, "announceWithdrawal", [0, 50n * mor]);
    await chain.passEpochs(2);

    const payee = routers[0]?.account.address ?? "";
    const credit = creditPath(payee, (995n * mor) / 1000n, 3);
    const debit = debitPath(0n, mor, salt, 3);
    await postSettlement(chain, routers, {
      creditRoot: credit.root,
      debitRoot: debit.root,
      totals: {
        allowanceCredits: 0n,
        modelEmission: 0n,
        agentEmission: 0n,
        paidCredits: (995n * mor) / 1000n,
        debits: mor,
        deposits: 1n,
      },
    });
    await chain.passEpochs(1);
    await chain.gasOf(computeContract, "finalize", []);
    await chain.gasOf(computeContract, "claim", [payee, (995n * mor) / 1000n, credit.proof]);
    assert.equal(await token.getFunction("balanceOf")(payee), (995n * mor) / 1000n);

    const before = (await token.getFunction("balanceOf")(deployer.address)) as bigint;
    await chain.gasOf(computeContract, "withdraw", [
      0,
      { cumulativeDebit: mor, salt, proof: debit.proof },
    ]);
    const gained = ((await token.getFunction("balanceOf")(deployer.address)) as bigint) - before;
    assert.equal(gained, 49n * mor);
  });
});
