/*
 * The owner's first two minutes: from an empty folder, on a machine where the network runs, to the
 * first Session that pays. Every command is run as an owner runs it, in a process of its own.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openNetwork, type OpenNetwork } from "./test-support/open-network.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "lake-owner-"));
const dataDir = join(folder, "devnet");
const place = join(folder, "owner");
const entryOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const provider = entryOf("../../provider/src/provider-main.ts");
const faucet = entryOf("./faucet-main.ts");
const model = "lake/travis-tiny";
const question = [{ role: "user", content: "What is a tick?" }];
/** Below both Providers of the local network, so that only the newcomer fits this cap. */
const price = "0.1";
const cap = "0.2";
const metricsPort = 20_000 + (process.pid % 20_000);

async function owner(entry: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [entry, ...args], { cwd: place });
  return stdout;
}

/** What a command that must fail says, on both outputs. */
async function refused(...args: readonly string[]): Promise<string> {
  const failed = await run(process.execPath, [provider, ...args], { cwd: place }).then(
    () => assert.fail(`${args.join(" ")} did not fail`),
    (error: unknown) => error as { code: number; stdout: string; stderr: string },
  );
  assert.equal(failed.code, 1);
  return failed.stdout + failed.stderr;
}

async function status(): Promise<StatusPage> {
  const args = [provider, "status", "--json"];
  const shown = await run(process.execPath, args, { cwd: place }).catch(
    (error: unknown) => error as { stdout: string },
  );
  return JSON.parse(shown.stdout) as StatusPage;
}

interface StatusPage {
  readonly running?: boolean;
  readonly node: {
    readonly sessions: readonly { readonly seconds: number; readonly requestsAnswered: number }[];
  };
  readonly earnings: readonly { readonly wei: string; readonly sessions: number }[];
  readonly problems: readonly { readonly what: string }[];
}

interface Finding {
  readonly name: string;
  readonly isOk: boolean;
  readonly says: string;
}

interface Due {
  readonly dueWei: string;
  readonly claimedWei: string;
  readonly transaction: string | null;
}

interface PricePage {
  readonly rivals: readonly unknown[];
  readonly expectedSharePercent: number;
}

async function until<T>(what: string, ms: number, ask: () => Promise<T | undefined>): Promise<T> {
  const patience = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    assert.ok(Date.now() < patience, `waited ${ms / 1000} s in vain until ${what}`);
    await sleep(500);
  }
}

describe("an owner's first two minutes", () => {
  let network: OpenNetwork;
  let account = "";
  let up: ChildProcess | undefined;
  let said = "";

  before(async () => {
    network = await openNetwork(dataDir);
    mkdirSync(place);
  });

  after(async () => {
    up?.kill("SIGKILL");
    await network.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("goes from an empty folder to a paid Session", async (t) => {
    const begun = Date.now();
    writeFileSync(join(place, "passphrase"), "a passphrase for a test\n", { mode: 0o600 });
    const made = await owner(
      provider,
      ...["init", "--json", "--passphrase-file", "passphrase"],
      ...["--deployment", network.deploymentPath, "--metrics", `127.0.0.1:${metricsPort}`],
      ...["--model", model, "--price", price, "--listen", "127.0.0.1:0"],
    );
    ({ account } = JSON.parse(made) as { account: string });
    assert.equal(statSync(join(place, "wallet.json")).mode & 0o077, 0, "only its owner reads it");
    assert.match(readFileSync(join(place, "provider.yaml"), "utf8"), /# = 27777777777777 wei of/);
    const poor = await refused("up", "--yes");
    assert.match(
      poor,
      /lacks 100 MOR for its stake\. Send it 100 MOR and some of the chain's coin/,
    );
    await owner(faucet, account, "--data-dir", dataDir);
    await serve("--yes");
    const offeredMs = Date.now() - begun;
    const answer = await until("the endpoint answers", 30_000, async () => {
      const asked = await ask();
      return asked.status === 200 ? asked : undefined;
    });
    assert.match(answer.headers.get("lake-session") ?? "", /^0x[0-9a-f]{64}$/);
    await until("a second is signed and an answer counted", 20_000, async () => {
      const { earnings, node } = await status();
      const isPaid = node.sessions.some((each) => each.seconds > 0 && each.requestsAnswered > 0);
      return isPaid || earnings.some(({ wei }) => BigInt(wei) > 0n) || undefined;
    });
    const ms = Date.now() - begun;
    t.diagnostic(`offered after ${offeredMs} ms, first paid Session after ${ms} ms`);
    assert.ok(ms < 120_000, `it took ${ms} ms`);
  });

  it("tells a wallet that is elsewhere what to send", async () => {
    const elsewhere = `0x${"5c".repeat(20)}`;
    const flags = ["--account", elsewhere, "--config", "cold.yaml", "--data-dir", "cold"];
    const offer = ["--model", model, "--price", price, "--deployment", network.deploymentPath];
    await owner(provider, "init", ...flags, ...offer);
    const said = await refused("up", "--config", "cold.yaml");
    assert.match(said, /to +0x[0-9a-f]{40}\n +data 0x095ea7b3[\s\S]*data 0x[0-9a-f]+/);
    assert.match(said, /Send the transactions above/);
    const sick = await refused("doctor", "--config", "cold.yaml");
    assert.match(
      sick,
      /^RED {2}stake: .* has not staked as a Provider\. 'lake provider up' does it/m,
    );
    assert.match(sick, /^RED {2}process: No Provider runs on .*cold\. Start it/m);
  });

  it("finds nothing wrong, and tells Prometheus", async () => {
    const findings = JSON.parse(await owner(provider, "doctor", "--json")) as Finding[];
    assert.deepEqual(
      findings.filter(({ isOk }) => !isOk),
      [],
    );
    assert.ok(findings.length >= 9);
    const page = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    assert.match(page, /^lake_provider_model_offered\{model="lake\/travis-tiny:latest"\} 1$/m);
    assert.match(page, /^lake_provider_requests_answered_total\{.*\} [1-9]/m);
    const health = await fetch(`http://127.0.0.1:${metricsPort}/healthz`);
    assert.equal(health.status, 200);
  });

  it("shows which price wins, and why a model is served", async () => {
    const shown = await owner(provider, "prices", "--json");
    const { rivals, expectedSharePercent } = JSON.parse(shown) as PricePage;
    assert.equal(rivals.length, 2);
    assert.equal(expectedSharePercent, 100);
    const plan = await owner(provider, "up", "--auto", "--dry-run");
    assert.match(plan, /keep +lake\/travis-tiny:latest .* its owner configured it/);
  });

  it("shows what was earned, and stops in order", async () => {
    const earned = await until("the Session has ended", 40_000, async () =>
      (await status()).earnings.find(({ wei }) => BigInt(wei) > 0n),
    );
    assert.ok(earned.sessions > 0);
    assert.deepEqual((await status()).problems, []);
    const gone = new Promise<number | null>((resolve) => up?.once("exit", resolve));
    const streamed = await ask({ stream: true, max_tokens: 400 });
    const reader = streamed.body?.getReader();
    await reader?.read();
    up?.kill("SIGTERM");
    let rest = "";
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
      rest += Buffer.from(part.value).toString();
    }
    assert.match(rest, /data: \[DONE\]/, "a running answer is finished");
    assert.equal(await gone, 0, said);
    const stopped = await status();
    assert.equal(stopped.running, false);
    assert.ok(
      stopped.earnings.some(({ wei }) => BigInt(wei) > 0n),
      "kept over a stop",
    );
    assert.equal(await listedPrice(), undefined, "the Offer was withdrawn");
  });

  it("serves by itself what the record says is asked for, and follows the price", async () => {
    const text = readFileSync(join(place, "provider.yaml"), "utf8");
    const models = /^models:\n(?:(?: .*)?\n)+/m;
    assert.match(text, models);
    const demand = `models: []\n`;
    const priced = text.replace(models, demand).replace("# price: 0.2", `price: ${price}`);
    const following = priced.replace("mode: fixed", "mode: auto");
    writeFileSync(join(place, "provider.yaml"), following);
    const plan = await until("the Records are public", 60_000, async () => {
      const shown = await owner(provider, "up", "--auto", "--dry-run");
      return shown.includes("serve") ? shown : undefined;
    });
    assert.match(plan, /serve +lake\/travis-tiny:latest .* it pays best for what it takes/);
    await serve("--auto");
    await until("the price is one wei below the cheapest rival's", 60_000, async () => {
      return (await listedPrice()) === "99999999999999" || undefined;
    });
    up?.kill("SIGTERM");
  });

  it("gets the settled MOR to the payout address", async () => {
    await until("the settlement is final", 90_000, async () => {
      const { dueWei } = JSON.parse(await owner(provider, "claim", "--dry-run", "--json")) as Due;
      return BigInt(dueWei) > 0n || undefined;
    });
    const claimed = JSON.parse(await owner(provider, "claim", "--json")) as Due;
    assert.match(claimed.transaction ?? "", /^0x[0-9a-f]{64}$/);
    const left = JSON.parse(await owner(provider, "claim", "--dry-run", "--json")) as Due;
    assert.ok(BigInt(left.claimedWei) >= BigInt(claimed.dueWei));
  });

  // Asked of the Router, as each command of the owner is a process and this test shares its cores.
  async function listedPrice(): Promise<string | undefined> {
    const answer = await fetch(`${network.routerUrl}/v1/offers`);
    const { offers } = (await answer.json()) as {
      offers: { offer: { message: { provider: string; weiPerSecond: string; slots: number } } }[];
    };
    const messages = offers.map(({ offer }) => offer.message);
    return messages.find(({ provider, slots }) => provider === account && slots > 0)?.weiPerSecond;
  }

  async function serve(...flags: readonly string[]): Promise<void> {
    up = spawn(process.execPath, [provider, "up", ...flags], {
      cwd: place,
      stdio: ["ignore", "pipe", "pipe"],
    });
    up.stdout?.on("data", (chunk: Buffer) => (said += chunk.toString()));
    up.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
    await until("the Router lists the Offer", 90_000, async () => {
      assert.equal(up?.exitCode, null, said);
      return await listedPrice();
    });
  }

  async function ask(more: Readonly<Record<string, unknown>> = {}): Promise<Response> {
    return await fetch(`${network.endpoint}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "lake-max-price": cap },
      body: JSON.stringify({ model, messages: question, max_tokens: 16, ...more }),
    });
  }
});
