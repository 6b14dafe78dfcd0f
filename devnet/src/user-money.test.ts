/*
 * A newcomer's User on the running network, by nothing but the `lake` command: a wallet of its own,
 * a deposit, paid answers, and at the end the proof that what `lake spend` says is to the wei what
 * the settlement on the chain took, and that the rest comes back.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { toQuantity } from "ethers";
import { type Address, epochAt, parseMor } from "@lake-travis/protocol";
import { type ChainClient, connectChain, readDeployment } from "@lake-travis/platform/chain";
import { loadActors } from "./actors.ts";
import { morOf } from "./ground-work.ts";
import { localTerms } from "./local-terms.ts";
import { startNetwork, type StartedNetwork } from "./test-support/started-network.ts";

const home = mkdtempSync(join(tmpdir(), "lake-money-"));
const dataDir = join(home, "devnet");
const own = join(home, "own");
const passphrase = join(home, "passphrase");
const program = fileURLToPath(new URL("../../client/src/main.ts", import.meta.url));
const model = localTerms.model.replace(/:latest$/, "");
const deposited = parseMor("1");
const withdrawn = parseMor("0.25");

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function lake(...args: string[]): Promise<Ended> {
  const flags = ["--disable-warning=ExperimentalWarning", program, ...args];
  const env = { ...process.env, LAKE_HOME: home, NODE_TEST_CONTEXT: undefined };
  const child = spawn(process.execPath, flags, { env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

const asOwner = (...args: string[]): Promise<Ended> =>
  lake("--json", "--data-dir", own, "--passphrase-file", passphrase, ...args);

async function told(result: Promise<Ended>): Promise<Record<string, unknown>> {
  const { code, stderr, stdout } = await result;
  assert.equal(code, 0, stderr + stdout);
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const patience = Date.now() + 8 * localTerms.epochSeconds * 1000;
  while (!(await isSo())) {
    assert.ok(Date.now() < patience, `waited in vain until ${what}`);
    await sleep(1_000);
  }
}

describe("a User's money", () => {
  let network: StartedNetwork;
  let chain: ChainClient;
  let user: Address;
  let number: bigint;
  let announcedIn: number;

  before(async () => {
    network = startNetwork(["--data-dir", dataDir, "--port", "0", "--json"]);
    await network.step("up");
    chain = connectChain(readDeployment(join(dataDir, "deployment.json")));
    writeFileSync(passphrase, "a lake in the hills\n");
  });
  after(async () => {
    chain.close();
    network.process.kill("SIGINT");
    await network.exited;
    rmSync(home, { recursive: true, force: true });
  });

  it("needs no configuration beside a running network", async () => {
    const asked = await lake("run", model, "What is a tick?");
    assert.equal(asked.code, 0, asked.stderr);
    assert.ok(asked.stdout.trim().length > 0);
    const doctor = await lake("doctor");
    assert.equal(doctor.code, 0, doctor.stdout);
    const { models } = await told(lake("--json", "models"));
    assert.equal((models as unknown[]).length > 0, true);
    const { found } = await told(lake("--json", "search", "tiny"));
    assert.equal((found as { handle: string }[])[0]?.handle, localTerms.model);
  });

  it("is missing at first, and lake says so in one sentence", async () => {
    user = (await told(asOwner("wallet", "new")))["address"] as Address;
    const refused = await lake(
      ...["--data-dir", own, "--passphrase-file", passphrase, "run", model, "Hello"],
    );
    assert.equal(refused.code, 3, refused.stderr);
    assert.match(refused.stderr, /holds no MOR and has no deposit to spend/);
  });

  it("goes into a deposit, and a part of it is announced for withdrawal", async () => {
    const capital = chain.as(loadActors(dataDir).capital.key);
    await capital.send("mor", "transfer", [user, deposited]);
    await chain.provider.send("anvil_setBalance", [user, toQuantity(localTerms.gasCoin)]);
    const noYes = await asOwner("deposit", "1");
    assert.equal(noYes.code, 2);
    const { depositWei } = await told(asOwner("deposit", "1", "--yes"));
    assert.equal(depositWei, deposited.toString());
    assert.equal(await morOf(chain, user), 0n);
    number = (await chain.read("computeContract", "numberOf", [user])) as bigint;
    await told(asOwner("withdraw", "0.25", "--yes"));
    const record = (await chain.read("computeContract", "depositOf", [number])) as {
      announced: bigint;
      announcedEpoch: bigint;
    };
    assert.equal(record.announced, withdrawn);
    announcedIn = Number(record.announcedEpoch);
  });

  it("pays answers, is shown, and is bounded by a hard daily limit", async () => {
    const { schedule } = chain.deployment;
    await until("the next epoch", async () => epochAt(schedule, Date.now()) > announcedIn);
    for (const question of ["What is a tick?", "Who pays the Builder?"]) {
      const answer = await told(asOwner("run", model, question));
      assert.match(String(answer["sessionId"]), /^0x[0-9a-f]{64}$/);
    }
    const spent = await told(asOwner("spend", "--by", "model"));
    assert.ok(BigInt(String(spent["wei"])) > 0n);
    // What is left of the limit does not pay another second.
    await told(asOwner("config", "set", "dailyLimit", "0.000001"));
    const refused = await asOwner("run", model, "More?");
    assert.equal(refused.code, 3, refused.stdout);
    assert.match(refused.stdout, /spend-limit-reached/);
    await told(asOwner("config", "unset", "dailyLimit"));
    const balance = await told(asOwner("balance"));
    assert.equal(balance["spentTodayWei"], spent["wei"]);
  });

  it("agrees to the wei with what the chain's settlement took from the deposit", async () => {
    let report: Record<string, unknown> = {};
    await until("every Session is charged", async () => {
      report = await told(asOwner("spend", "--by", "key"));
      return report["unsettled"] === 0;
    });
    const ledger = BigInt(String(report["wei"]));
    assert.ok(ledger > 0n);
    const { sessions } = (await told(asOwner("sessions"))) as {
      sessions: { sessionId: string; epoch: number; seconds: number; wei: string }[];
    };
    const last = Math.max(...sessions.map(({ epoch }) => epoch));
    await until("the settlement is final", async () => {
      const book = (await chain.read("computeContract", "finalSettlement")) as { epoch: bigint };
      return Number(book.epoch) >= last;
    });
    await told(asOwner("withdraw", "--claim", "--yes"));
    const record = (await chain.read("computeContract", "depositOf", [number])) as {
      collected: bigint;
      withdrawn: bigint;
    };
    assert.equal(record.withdrawn, withdrawn);
    assert.equal(await morOf(chain, user), withdrawn);
    assert.equal(record.collected, ledger, "the chain collected what lake spend says");
  });

  it("is safe from the session key once the Delegation is revoked", async () => {
    const kept = readFileSync(join(own, "delegation.json"), "utf8");
    await told(asOwner("wallet", "revoke", "--on-chain", "--yes"));
    writeFileSync(join(own, "delegation.json"), kept);
    const thief = await asOwner("run", model, "Hello");
    assert.equal(thief.code, 6, thief.stdout);
    assert.match(thief.stdout, /delegation-revoked/);
  });
});
