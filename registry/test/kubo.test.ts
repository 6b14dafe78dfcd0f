import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { promisify } from "node:util";
import { parseContentId } from "../src/content-id.ts";
import { IpfsNode } from "../src/ipfs-node.ts";

const kubo = process.env["KUBO_BINARY"];
const run = promisify(execFile);
/** Several leaves of 1 MiB with a rest. */
const fileBytes = 5 * 1024 * 1024 + 12_345;

test(
  "a stock Kubo node and ours give and take one another's files",
  { skip: kubo === undefined ? "skipped: no Kubo (name one in KUBO_BINARY)" : false },
  async (context) => {
    const folder = await mkdtemp(join(tmpdir(), "lake-kubo-"));
    const node = new IpfsNode({ dataDir: join(folder, "ours"), libp2p: {} });
    const daemon = await startKubo(kubo ?? "", join(folder, "theirs"));
    try {
      await node.start();
      const bytes = randomBytes(fileBytes);
      await writeFile(join(folder, "file"), bytes);
      const theirRoot = (await daemon.ipfs("add", "-Q", join(folder, "file"))).trim();
      const { root: ourRoot } = await node.addFile(join(folder, "file"));
      await context.test("both name it by the same CID", () => {
        assert.equal(ourRoot.toString(), theirRoot);
      });

      await context.test("added in Kubo, pulled here from its gateway", async () => {
        await assertPulled(join(folder, "by-gateway"), theirRoot, daemon.gateway, bytes);
      });
      await context.test("added in Kubo, pulled here over bitswap", async () => {
        await assertPulled(join(folder, "by-bitswap"), theirRoot, daemon.address, bytes);
      });

      await context.test("published here, got by `ipfs get` over bitswap", async () => {
        const own = randomBytes(fileBytes);
        const { root } = await node.store.addBytes(own);
        await daemon.ipfs("swarm", "connect", node.addresses[0] ?? "");
        await daemon.ipfs("get", "-o", join(folder, "got"), root.toString());
        assert.ok(own.equals(await readFile(join(folder, "got"))));
      });

      await context.test("our CAR is imported by Kubo", async () => {
        const own = randomBytes(fileBytes);
        const { root } = await node.store.addBytes(own);
        const response = await fetch(`${node.gatewayUrl}/ipfs/${root}?format=car`);
        await writeFile(join(folder, "own.car"), Buffer.from(await response.arrayBuffer()));
        await daemon.ipfs("dag", "import", join(folder, "own.car"));
        await daemon.ipfs("get", "--offline", "-o", join(folder, "from-car"), root.toString());
        assert.ok(own.equals(await readFile(join(folder, "from-car"))));
      });
    } finally {
      await node.stop();
      await daemon.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
);

async function assertPulled(
  dataDir: string,
  root: string,
  holder: string,
  bytes: Buffer,
): Promise<void> {
  const puller = new IpfsNode({ dataDir, libp2p: { dht: "none" } });
  await puller.start();
  try {
    const got = await puller.readFile(parseContentId(root), { holders: [holder] });
    assert.ok(bytes.equals(got));
  } finally {
    await puller.stop();
  }
}

interface Kubo {
  readonly gateway: string;
  readonly address: string;
  ipfs(...words: string[]): Promise<string>;
  stop(): Promise<void>;
}

async function startKubo(binary: string, repository: string): Promise<Kubo> {
  const env = { ...process.env, IPFS_PATH: repository };
  const ipfs = async (...words: string[]): Promise<string> =>
    (await run(binary, words, { env, maxBuffer: 1e8 })).stdout;
  await ipfs("init", "--profile=test");
  // What the profile unixfs-v1-2025 sets; Kubo before 0.40 knows the settings, not the name.
  await ipfs("config", "--json", "Import.CidVersion", "1");
  await ipfs("config", "--json", "Import.UnixFSRawLeaves", "true");
  await ipfs("config", "Import.UnixFSChunker", "size-1048576");
  await ipfs("config", "--json", "Import.UnixFSFileMaxLinks", "1024");
  await ipfs("config", "Addresses.Gateway", "/ip4/127.0.0.1/tcp/0");
  await ipfs("config", "--json", "Addresses.Swarm", '["/ip4/127.0.0.1/tcp/0"]');
  const daemon = spawn(binary, ["daemon", "--offline=false"], {
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const gateway = await readyGateway(daemon);
  const { Addresses } = JSON.parse(await ipfs("id")) as { Addresses: string[] };
  const address = Addresses.find((each) => each.startsWith("/ip4/127.0.0.1/tcp/")) ?? "";
  return {
    gateway,
    address,
    ipfs,
    async stop() {
      const ended = once(daemon, "exit");
      daemon.kill("SIGTERM");
      await ended;
    },
  };
}

async function readyGateway(daemon: ChildProcess): Promise<string> {
  const { stdout } = daemon;
  assert.ok(stdout);
  let gateway = "";
  for await (const line of createInterface({ input: stdout })) {
    const found = /Gateway server listening on (\/ip4\/[\d.]+\/tcp\/(\d+))/.exec(line);
    if (found !== null) gateway = `http://127.0.0.1:${found[2] ?? ""}`;
    if (line.includes("Daemon is ready")) return gateway;
  }
  throw new Error("Kubo did not start.");
}
