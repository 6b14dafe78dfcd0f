import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { forge } from "../scripts/forge.ts";
import { generate } from "../scripts/generate.ts";

describe("generated files", () => {
  it("are what the Solidity sources compile to", async () => {
    const built = forge(["build", "--skip", "test", "--quiet"], {
      environment: { FOUNDRY_PROFILE: "release" },
    });
    assert.equal(built.status, 0);
    for (const [path, text] of await generate()) {
      const committed = readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8");
      // Not assert.equal: its message would print the whole bytecode.
      assert.ok(committed === text, `${path} is stale: run npm run build -w contracts`);
    }
  });

  it("fit on a chain", async () => {
    const { computeContractBytecode } = await import("./bytecode.ts");
    const creationBytes = (computeContractBytecode.length - 2) / 2;
    // EIP-3860 bounds creation code; the deployed size is checked by deploying in another test.
    assert.ok(creationBytes <= 49_152);
  });
});
