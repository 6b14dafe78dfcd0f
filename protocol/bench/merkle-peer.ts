import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Address, buildMerkleTree, creditLeaf } from "@lake-travis/protocol";

const version = "1.0.8";

interface Peer {
  readonly StandardMerkleTree: {
    of(values: readonly (readonly [string, string])[], types: readonly string[]): { root: string };
  };
}

/** CPU seconds of both trees over the same credits; throws where their roots differ. */
export function compareMerkleTrees(leaves: number): {
  readonly ours: number;
  readonly peer: number;
} {
  const credits = new Map<Address, bigint>();
  for (let index = 0; index < leaves; index += 1) {
    const mixed = (Math.imul(index, 0x9e3779b1) >>> 0).toString(16);
    credits.set(`0x${mixed.padStart(40, "0")}`, BigInt(index) * 1_000_003n ** 2n + 1n);
  }
  const values = [...credits].map(([account, wei]): [string, string] => [account, wei.toString()]);
  const { StandardMerkleTree } = installPeer();
  const ours = cpuSeconds(() => {
    const hashed = [...credits].map(([account, wei]) => creditLeaf(account, wei));
    return buildMerkleTree(hashed).root;
  });
  const peer = cpuSeconds(() => StandardMerkleTree.of(values, ["address", "uint256"]).root);
  if (ours.result !== peer.result) throw new Error("The two trees have different roots.");
  return { ours: ours.seconds, peer: peer.seconds };
}

/** Which release of `@openzeppelin/merkle-tree` is compared with. */
export const merklePeer = `@openzeppelin/merkle-tree@${version}`;

function cpuSeconds<T>(work: () => T): { readonly result: T; readonly seconds: number } {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  return { result, seconds: (user + system) / 1e6 };
}

/** Installs the peer beside the project's other caches, once. */
function installPeer(): Peer {
  const folder = join(import.meta.dirname, "../../node_modules/.cache/peers/merkle-tree");
  const path = join(folder, "node_modules/@openzeppelin/merkle-tree");
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{"private":true}\n');
    const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", merklePeer];
    execFileSync("npm", args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  }
  return createRequire(import.meta.url)(path) as Peer;
}
