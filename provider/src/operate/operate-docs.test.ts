import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { demandKeys, modelKeys, pricingKeys, topKeys } from "./config-keys.ts";
import { createProviderProgram } from "./provider-commands.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const page = readFileSync(join(root, "docs/operate.md"), "utf8");

/** The code block of a language; the page has one of each. */
function block(language: string): string {
  const found = new RegExp("```" + language + "\\n([\\s\\S]*?)```").exec(page);
  assert.ok(found?.[1] !== undefined, `no ${language} block`);
  return found[1];
}

test("every key has its row, with the words of the written file", () => {
  const rows = page.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  for (const { key, says } of [...topKeys, ...modelKeys, ...pricingKeys, ...demandKeys]) {
    assert.ok(
      rows.some((cells) => cells[1] === `\`${key}\`` && cells[4] === says),
      `docs/operate.md has no row for ${key}`,
    );
  }
});

test("every command is named, and every flag that is named exists", () => {
  for (const { commands } of [createProviderProgram()]) {
    for (const command of commands) {
      assert.ok(page.includes(`lake provider ${command.name()}`), command.name());
    }
    const flags = new Set(commands.flatMap(({ options }) => options.map(({ long }) => long)));
    for (const [, flag = ""] of page.matchAll(/lake provider [a-z]+[^\n`]*?(--[a-z-]+)/g)) {
      if (flag !== "--help") assert.ok(flags.has(flag), flag);
    }
  }
});

test("systemd accepts the unit", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "lake-unit-"));
  const path = join(folder, "lake-provider.service");
  // Only what lies elsewhere on this machine is replaced: programs that are not there are refused.
  const unit = block("ini").replace("/usr/bin/node", process.execPath);
  writeFileSync(path, unit.replace(/^Documentation=.*\n/m, ""));
  const { error, status, stderr } = spawnSync("systemd-analyze", ["verify", path]);
  rmSync(folder, { recursive: true });
  if (error !== undefined) {
    t.skip("no systemd on this machine");
    return;
  }
  // An unknown key is only a warning there; warnings about other units are not ours.
  const said = stderr.toString().split("\n");
  assert.deepEqual(
    said.filter((line) => line.includes("lake-provider.service")),
    [],
  );
  assert.equal(status, 0);
});

test("unit and container file name files that are there", () => {
  for (const text of [block("ini"), block("dockerfile")]) {
    assert.match(text, /install\/launch\.mjs"?,? .*provider\/src\/provider-main\.ts/);
  }
  for (const path of ["install/launch.mjs", "provider/src/provider-main.ts"]) {
    readFileSync(join(root, path));
  }
});
