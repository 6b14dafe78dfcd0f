import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { it } from "node:test";
import { promisify } from "node:util";

it("measures every figure, so that no benchmark rots", async () => {
  const path = new URL("./main.ts", import.meta.url).pathname;
  const args = ["--expose-gc", path, "--quick", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { figures, workHash } = JSON.parse(stdout) as {
    figures: { name: string; value: number }[];
    workHash: string;
  };
  assert.match(workHash, /^0x[0-9a-f]{64}$/);
  const names = figures.map(({ name }) => name);
  for (const name of ["rfc_signed_vs_crypto", "session_bytes", "recover_1m_events_s"]) {
    assert.ok(names.includes(name), name);
  }
  for (const { name, value } of figures) assert.ok(value > 0, name);
});
