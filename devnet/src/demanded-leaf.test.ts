/*
 * The owner of a deposit demands to see its leaf in a pending settlement, on the running network:
 * the Router answers before the demand's time is over, whatever was debited, so that the settlement
 * becomes final and nobody is slashed.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type EventLog, toQuantity } from "ethers";
import { generateKey, signerFromKey } from "@lake-travis/platform";
import { type Hex, parseMor } from "@lake-travis/protocol";
import { type ChainClient, connectChain, readDeployment } from "@lake-travis/platform/chain";
import { loadActors } from "./actors.ts";
import { localTerms } from "./local-terms.ts";
import { startNetwork, type StartedNetwork } from "./test-support/started-network.ts";

const home = mkdtempSync(join(tmpdir(), "lake-demand-"));
const dataDir = join(home, "devnet");
const program = fileURLToPath(new URL("../../client/src/main.ts", import.meta.url));
const model = localTerms.model.replace(/:latest$/, "");
const ownerKey = generateKey();
const owner = signerFromKey(ownerKey).address;
const deposited = parseMor("1");

function lake(...args: string[]): Promise<string> {
  const flags = ["--disable-warning=ExperimentalWarning", program, ...args];
  const env = { ...process.env, LAKE_HOME: home, NODE_TEST_CONTEXT: undefined };
  const child = spawn(process.execPath, flags, { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  return new Promise((resolve, reject) =>
    child.on("close", (code) => {
      if (code === 0) resolve(said);
      else reject(new Error(said));
    }),
  );
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const patience = Date.now() + 8 * localTerms.epochSeconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(Date.now() < patience, `waited in vain until ${what}`);
    await sleep(250);
  }
}

describe("a demanded leaf", () => {
  let network: StartedNetwork;
  let chain: ChainClient;
  let number: bigint;

  before(async () => {
    network = startNetwork(["--data-dir", dataDir, "--port", "0", "--json"]);
    await network.step("up");
    chain = connectChain(readDeployment(join(dataDir, "deployment.json")));
    await chain.provider.send("anvil_setBalance", [owner, toQuantity(localTerms.gasCoin)]);
    const capital = chain.as(loadActors(dataDir).capital.key);
    await capital.send("mor", "transfer", [owner, deposited]);
    const { computeContract } = chain.deployment;
    const own = chain.as(ownerKey);
    await own.send("mor", "approve", [computeContract, deposited + 10n * localTerms.demandBond]);
    await own.send("computeContract", "deposit", [deposited]);
    number = (await chain.read("computeContract", "numberOf", [owner])) as bigint;
  });
  after(async () => {
    chain.close();
    network.process.kill("SIGINT");
    await network.exited;
    rmSync(home, { recursive: true, force: true });
  });

  /** Demands the leaf in the next settlement that takes demands; the result is what was shown. */
  async function demandNext(): Promise<{ readonly hash: Hex; readonly debit: bigint }> {
    const { computeContract } = chain.contracts;
    const capital = chain.as(loadActors(dataDir).capital.key);
    await capital.send("mor", "transfer", [owner, localTerms.demandBond]);
    await until("a demand is taken", async () => {
      const sent = chain.as(ownerKey).send("computeContract", "demand", [number]);
      return await sent.catch(() => undefined);
    });
    return await until("the demand is answered", async () => {
      const [demands, answers] = await Promise.all(
        ["Demanded", "DemandAnswered"].map((name) => computeContract.queryFilter(name)),
      );
      const own = (logs: typeof demands): EventLog[] =>
        ((logs ?? []) as EventLog[]).filter(({ args }) => args["number"] === number);
      const hash = own(demands).at(-1)?.args["digest"] as Hex;
      const answer = own(answers).find(({ args }) => args["digest"] === hash);
      if (answer === undefined) return undefined;
      return { hash, debit: answer.args["cumulativeDebit"] as bigint };
    });
  }

  async function requireFinal(hash: Hex): Promise<void> {
    await until("the settlement is final", async () => {
      const book = (await chain.read("computeContract", "finalSettlement")) as { digest: Hex };
      return book.digest === hash ? book : undefined;
    });
    const { router } = loadActors(dataDir);
    const node = (await chain.read("nodeRegistry", "nodes", [router.account])) as {
      slashed: boolean;
      stake: bigint;
    };
    assert.deepEqual([node.slashed, node.stake], [false, localTerms.routerStake]);
  }

  it("is shown to who spent nothing", async () => {
    await lake("run", model, "What is a tick?");
    const { hash, debit } = await demandNext();
    assert.equal(debit, 0n);
    await requireFinal(hash);
  });

  it("is shown with a Delegation to who spent something", async () => {
    const keyFile = join(home, "owner.key");
    const passphrase = join(home, "passphrase");
    writeFileSync(keyFile, ownerKey);
    writeFileSync(passphrase, "a lake in the hills\n");
    const own = ["--data-dir", join(home, "own"), "--passphrase-file", passphrase];
    await lake(...own, "wallet", "import", keyFile);
    // The first settlements may still be of epochs before the Session.
    for (;;) {
      await lake(...own, "run", model, "Who pays the Builder?");
      const { hash, debit } = await demandNext();
      await requireFinal(hash);
      if (debit > 0n) break;
    }
  });
});
