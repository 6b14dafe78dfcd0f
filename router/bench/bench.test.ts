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
  const expected = [
    "rfc_signed_vs_crypto",
    "rfc_ws_vs_crypto",
    "rfc_p99_ms_at_half_load",
    "session_bytes",
    "held_sessions",
    "recover_1m_events_s",
  ];
  for (const name of expected) assert.ok(names.includes(name), name);
  for (const { name, value } of figures) assert.ok(value > 0, name);
});
