import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import { errorStatus, type ErrorCode, LakeError } from "@lake-travis/protocol";
import { generateKey, serveHttp, signerFromKey } from "@lake-travis/platform";
import { runLake } from "../test-support/lake-process.ts";
import { completionScript, wordsOf } from "./completion-command.ts";
import { createLakeProgram } from "./create-lake-program.ts";
import { exitCodeOf, exitCodes } from "./exit-code.ts";
import { formatTable } from "./format-table.ts";

const folder = mkdtempSync(join(tmpdir(), "lake-cli-"));
after(() => rmSync(folder, { recursive: true }));
let homes = 0;

function freshHome(): string {
  homes += 1;
  const home = join(folder, String(homes));
  mkdirSync(join(home, "node"), { recursive: true });
  return home;
}

const nowhere = {
  chainId: 31_337,
  rpcUrl: "http://127.0.0.1:1",
  deployBlock: 0,
  schedule: { genesisMs: 0, lengthMs: 86_400_000 },
  mor: `0x${"1".repeat(40)}`,
  modelRegistry: `0x${"2".repeat(40)}`,
  nodeRegistry: `0x${"3".repeat(40)}`,
  computeContract: `0x${"4".repeat(40)}`,
};

describe("a command that cannot work", () => {
  async function failsWith(
    home: string,
    args: readonly string[],
    expected: { readonly code: number; readonly says: RegExp },
  ): Promise<void> {
    const { code, stderr, stdout } = await runLake(home, args);
    assert.match(stderr, expected.says);
    assert.equal(code, expected.code, stderr);
    assert.equal(stderr.trim().split("\n").length, 1, `one sentence: ${stderr}`);
    assert.equal(stdout, "");
  }

  it("names a network that is not there", () =>
    failsWith(freshHome(), ["run", "a/b", "hello"], {
      code: exitCodes.usage,
      says: /There is no deployment file .* Start the local network with npm start/,
    }));

  it("names a chain that is away", async () => {
    const home = freshHome();
    const file = join(home, "deployment.json");
    writeFileSync(file, JSON.stringify(nowhere));
    await failsWith(home, ["--deployment", file, "balance"], {
      code: exitCodes.away,
      says: /The chain does not answer .* Check the RPC address/,
    });
  });

  it("names a configuration that is corrupt, and keeps it", async () => {
    const home = freshHome();
    const file = join(home, "node", "config.yaml");
    writeFileSync(file, "maxPrice: [");
    const says = /The configuration .* cannot be read .* Mend it with an editor/;
    await failsWith(home, ["balance"], { code: exitCodes.usage, says });
    await failsWith(home, ["config", "set", "maxPrice", "1"], { code: exitCodes.usage, says });
    assert.equal(readFileSync(file, "utf8"), "maxPrice: [");
  });

  it("names a wallet that is missing, locked or corrupt", async () => {
    const home = freshHome();
    const network = join(home, "deployment.json");
    writeFileSync(network, JSON.stringify(nowhere));
    const show = ["--deployment", network, "wallet", "show"];
    await failsWith(home, show, {
      code: exitCodes.usage,
      says: /There is no wallet yet\. Make one with lake wallet new/,
    });
    const file = join(home, "node", "wallet.json");
    writeFileSync(file, '{"version":3');
    const says = /The keystore .* is damaged .* nothing in it was changed/;
    await failsWith(home, show, { code: exitCodes.usage, says });
    assert.equal(readFileSync(file, "utf8"), '{"version":3');
    await failsWith(home, ["wallet", "new"], {
      code: exitCodes.usage,
      says: /There is a file .* already; it stays as it is\./,
    });
  });

  it("tells a script the code as JSON", async () => {
    const { code, stdout } = await runLake(freshHome(), ["--json", "balance"]);
    assert.equal(code, exitCodes.usage);
    const { error } = JSON.parse(stdout) as { error: { code: string } };
    assert.equal(error.code, "argument-invalid");
  });

  it("explains what is on the command line otherwise", async () => {
    const { code, stderr } = await runLake(freshHome(), ["bogus"]);
    assert.equal(code, exitCodes.usage);
    assert.match(stderr, /unknown command 'bogus'/);
    const silent = await runLake(freshHome(), ["run", "a/b"]);
    assert.match(silent.stderr, /The question is empty/);
  });
});

describe("lake wallet", () => {
  it("makes a keystore, brings keys from elsewhere, shows the address without asking", async () => {
    const home = freshHome();
    const network = join(home, "deployment.json");
    writeFileSync(network, JSON.stringify(nowhere));
    const passphrase = join(home, "passphrase");
    writeFileSync(passphrase, "eight lakes in the hills\n");
    const lake = (...args: string[]) =>
      runLake(home, ["--json", "--deployment", network, "--passphrase-file", passphrase, ...args]);
    const made = JSON.parse((await lake("wallet", "new")).stdout) as { address: string };
    const shown = JSON.parse((await lake("wallet", "show")).stdout) as { address: string };
    assert.equal(shown.address, made.address);
    const key = generateKey();
    const file = join(home, "imported.json");
    const imported = await runLake(
      home,
      ["--passphrase-file", passphrase, "wallet", "import", "-", "--file", file],
      `${key}\n`,
    );
    assert.equal(imported.code, 0, imported.stderr);
    assert.ok(imported.stdout.startsWith(signerFromKey(key).address));
    assert.ok(!imported.stdout.includes(key) && !readFileSync(file, "utf8").includes(key));
    const variable = { LAKE_WALLET_KEY: key };
    const server = freshHome();
    const args = ["--deployment", network, "wallet", "show"];
    const warned = await runLake(server, args, "", variable);
    assert.match(warned.stderr, /Warning: the wallet's key comes from LAKE_WALLET_KEY/);
    assert.ok(warned.stdout.startsWith(signerFromKey(key).address));
  });
});

describe("the command line", () => {
  const { lake } = createLakeProgram();

  it("has examples in the help of each command", () => {
    for (const command of lake.commands) {
      let help = "";
      command.configureOutput({ writeOut: (text) => (help += text) });
      command.outputHelp();
      const isElsewhere = command.name() === "provider";
      assert.ok(isElsewhere || /Examples?:/.test(help), `${command.name()}: ${help}`);
    }
  });

  it("completes every command in every shell", () => {
    const sets = wordsOf(lake);
    for (const shell of ["bash", "zsh", "fish"] as const) {
      const script = completionScript(shell, sets);
      for (const { name } of lake.commands.map((command) => ({ name: command.name() }))) {
        assert.ok(script.includes(name), `${shell} knows ${name}`);
      }
      assert.ok(script.includes("revoke"));
    }
  });

  it("completes in a real bash", async (t) => {
    const script = completionScript("bash", wordsOf(lake));
    const typed = [
      ["lake sp", "spend"],
      ["lake --json wallet rev", "revoke"],
      ["lake config key re", "remove"],
      ["lake spend --b", "--by"],
    ];
    for (const [line = "", expected] of typed) {
      const words = line.split(" ");
      const ask = `COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; _lake`;
      const args = ["-c", `${script}\n${ask}; echo "\${COMPREPLY[@]}"`];
      try {
        assert.equal((await promisify(execFile)("bash", args)).stdout.trim(), expected);
      } catch (error) {
        if ((error as { code?: string }).code !== "ENOENT") throw error;
        t.skip("no bash on this machine");
      }
    }
  });

  it("prints no colours where nobody sees them", async () => {
    const home = freshHome();
    writeFileSync(join(home, "deployment.json"), JSON.stringify(nowhere));
    const { code, stdout } = await runLake(home, [
      "--deployment",
      join(home, "deployment.json"),
      "doctor",
    ]);
    assert.equal(code, exitCodes.failed);
    assert.match(stdout, /^ok {2}config/);
    assert.match(stdout, /red chain .* does not answer/);
    assert.match(stdout, /red wallet .* lake wallet new/);
    assert.ok(!stdout.includes("\u001b"));
  });

  it("names a clock that is off by an hour", async () => {
    const home = freshHome();
    const file = join(home, "deployment.json");
    writeFileSync(file, JSON.stringify(nowhere));
    const fetch = (): Response => Response.json({ now: Date.now() + 3_600_000 });
    const server = await serveHttp({ fetch, host: "127.0.0.1", port: 0 });
    const router = `http://127.0.0.1:${server.port}`;
    const { stdout } = await runLake(home, ["--deployment", file, "--router", router, "doctor"]);
    await server.close(0);
    assert.match(stdout, /red clock +This machine's clock is 3600 s behind the Router's\. Set it/);
  });

  it("exits with the documented codes", () => {
    const page = readFileSync(new URL("../../../docs/cli.md", import.meta.url), "utf8");
    const documented = [...page.matchAll(/^\| `(\d+)` +\|/gm)].map(([, code]) => Number(code));
    assert.deepEqual(documented, Object.values(exitCodes));
    const codeOf = (code: ErrorCode): number => exitCodeOf(new LakeError(code, "It failed."));
    assert.equal(codeOf("mor-missing"), exitCodes.money);
    assert.equal(codeOf("spend-limit-reached"), exitCodes.money);
    assert.equal(codeOf("model-unknown"), exitCodes.unknown);
    assert.equal(codeOf("router-unreachable"), exitCodes.away);
    assert.equal(codeOf("wallet-refused"), exitCodes.refused);
    assert.equal(codeOf("config-invalid"), exitCodes.usage);
    assert.equal(exitCodeOf(new Error("a fault of ours")), exitCodes.failed);
    const all = Object.keys(errorStatus) as ErrorCode[];
    assert.ok(all.every((code) => codeOf(code) > 0));
  });
});

describe("formatTable", () => {
  it("aligns words to the left and figures to the right", () => {
    const table = formatTable(
      ["name", "MOR"],
      [
        ["a", "1.5"],
        ["long name", "10"],
      ],
      ["MOR"],
    );
    assert.equal(table, "name       MOR\na          1.5\nlong name   10");
  });
});
