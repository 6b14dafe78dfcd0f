import { createRequire } from "node:module";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LakeError } from "@lake-travis/protocol";
import { serveHttp } from "@lake-travis/platform";
import { type Child, startChild } from "./child-process.ts";

/** The local chain: anvil with its state in a file. */
export interface LocalChain {
  readonly rpcUrl: string;
  readonly child: Child;
}

/** anvil's own chain id, known to wallets as a development chain. */
export const localChainId = 31337;

// Interval mining gives every epoch its first block; transactions are mined at once besides.
const blockSeconds = 2;
const stateIntervalSeconds = 5;
const probeEveryMs = 50;

/** Throws `port-taken` where another program listens on a port of this machine (0: any is fine). */
export async function requireFreePort(port: number): Promise<void> {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new LakeError("argument-invalid", "--port must be a number from 0 to 65535.");
  }
  const server = await serveHttp({ fetch: () => new Response(), host: "127.0.0.1", port });
  await server.close();
}

/** Starts anvil on a free port; what it knew when it last stopped is there again. */
export async function startLocalChain(
  dataDir: string,
  onSpawn: (pid: number) => void,
): Promise<LocalChain> {
  const port = await freePort();
  const rpcUrl = `http://127.0.0.1:${port}`;
  const child = await startChild({
    name: "chain",
    command: anvilBinary(),
    args: [
      ...["--host", "127.0.0.1", "--port", String(port), "--chain-id", String(localChainId)],
      ...["--block-time", String(blockSeconds), "--mixed-mining", "--silent"],
      ...["--state", join(dataDir, "chain.json"), "--state-interval", String(stateIntervalSeconds)],
      "--preserve-historical-states",
    ],
    logFile: join(dataDir, "logs", "chain.log"),
    readyMsMax: 15_000,
    onSpawn,
    probe: () => answering(rpcUrl),
  });
  return { rpcUrl, child };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

async function answering(rpcUrl: string): Promise<Record<string, unknown>> {
  for (;;) {
    try {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] });
      const headers = { "content-type": "application/json" };
      const answer = await fetch(rpcUrl, { method: "POST", headers, body });
      if (answer.ok) return { rpcUrl };
    } catch {
      // Not listening yet; startChild bounds how long we ask.
    }
    await sleep(probeEveryMs);
  }
}

// The package's own launcher is a Node process that would stay between us and anvil's signals.
function anvilBinary(): string {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const name = `@foundry-rs/anvil-${process.platform}-${architecture}/bin/anvil`;
  try {
    const contracts = createRequire(import.meta.resolve("@lake-travis/contracts"));
    return contracts.resolve(name);
  } catch (cause) {
    throw new LakeError("child-failed", `There is no anvil for ${process.platform} here.`, {
      advice: "Run npm ci again, without --omit=optional.",
      cause,
    });
  }
}
