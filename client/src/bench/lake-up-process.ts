/* A User's node in a process of its own, as `lake up` runs it, without a chain. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Address, Deployment } from "@lake-travis/protocol";
import {
  createLogger,
  generateKey,
  nativeSignatures,
  signerFromKey,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import { LakeClient } from "../lake-client.ts";
import { walletOfSigner } from "../wallet/user-wallet.ts";

/** What the process is started with, as its first argument in JSON. */
export interface LakeUpOrder {
  readonly url: string;
  readonly deployment: Deployment;
  readonly keys: readonly (readonly [Address, Address])[];
}

const order = JSON.parse(process.argv[2] ?? "{}") as LakeUpOrder;
const keys = new Map(order.keys);
const client = new LakeClient({
  deployment: order.deployment,
  dataDir: mkdtempSync(join(tmpdir(), "lake-bench-")),
  routerUrl: order.url,
  listen: { host: "127.0.0.1", port: 0 },
  idleMs: 600_000,
  idleShareMax: 1,
  maxWeiPerSecond: 1_000_000n,
  allowed: { epochLimit: 10n ** 18n, debitCeiling: 0n, lifetimeMs: 30 * 86_400_000 },
  wallet: () => Promise.resolve(walletOfSigner(signerFromKey(generateKey()))),
  clock: systemClock,
  random: systemRandom,
  signatures: nativeSignatures,
  directory: { signingKeyOf: (account) => Promise.resolve(keys.get(account)) },
  logger: createLogger({ name: "client", level: "silent" }),
});
await client.start();
process.on("disconnect", () => process.exit(0));
process.send?.({ url: client.endpoint, token: "unused" });
