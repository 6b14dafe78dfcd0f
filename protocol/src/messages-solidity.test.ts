import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { after, before, describe, it } from "node:test";
import { messagesHarnessAbi, messagesHarnessBytecode } from "@lake-travis/contracts";
import { type Contract, ContractFactory, JsonRpcProvider, Network } from "ethers";
import fc from "fast-check";
import { toHex } from "./hex.ts";
import { digestOf, hashStruct } from "./message.ts";
import { domainSeparatorOf } from "./messages.ts";
import { anyMessage, messageTypes } from "./test-support/any-message.ts";

const chainId = 31337;
const port = 20_000 + (process.pid % 20_000);
const require = createRequire(import.meta.resolve("@lake-travis/contracts"));
const architecture = process.arch === "x64" ? "amd64" : process.arch;
const binary = `@foundry-rs/anvil-${process.platform}-${architecture}/bin/anvil`;

const runs = 25;

describe("messages in Solidity", () => {
  const anvil = spawn(require.resolve(binary), ["--port", String(port), "--silent"]);
  const provider = new JsonRpcProvider(`http://127.0.0.1:${port}`, chainId, {
    staticNetwork: Network.from(chainId),
    cacheTimeout: -1,
  });
  let harness: Contract;

  before(async () => {
    await untilListening();
    const factory = new ContractFactory(
      messagesHarnessAbi,
      messagesHarnessBytecode,
      await provider.getSigner(0),
    );
    harness = (await (await factory.deploy()).waitForDeployment()) as Contract;
  });

  after(() => {
    provider.destroy();
    anvil.kill();
  });

  async function untilListening(): Promise<void> {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      try {
        await provider.send("eth_chainId", []);
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    throw new Error("anvil does not answer");
  }

  for (const type of messageTypes) {
    it(`${type.name}: both languages hash alike`, async () => {
      const hash = harness.getFunction(`hash${type.name}`);
      const isScalar = type.name === "SigningKey";
      await fc.assert(
        fc.asyncProperty(anyMessage(type), async (message) => {
          const argument = isScalar ? Object.values(message)[0] : message;
          assert.equal(await hash.staticCall(argument), toHex(hashStruct(type, message)));
        }),
        { numRuns: runs },
      );
    });
  }

  it("domain separator and signing digest are the same", async () => {
    const computeContract = `0x${"c0".repeat(20)}` as const;
    const separator = domainSeparatorOf({ chainId, computeContract });
    const [type] = messageTypes;
    assert.ok(type !== undefined);
    const inSolidity: unknown = await harness
      .getFunction("domainSeparator")
      .staticCall(computeContract);
    assert.equal(inSolidity, toHex(separator));
    const [message] = fc.sample(anyMessage(type), 1);
    assert.ok(message !== undefined);
    const digest: unknown = await harness
      .getFunction("digest")
      .staticCall(separator, hashStruct(type, message));
    assert.equal(digest, toHex(digestOf(separator, type, message)));
  });
});
