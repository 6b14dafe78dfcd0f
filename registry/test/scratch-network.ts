import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { IpfsNode, type IpfsNodeOptions } from "../src/ipfs-node.ts";
import { SimulatedModelNames } from "../src/simulated-model-names.ts";

/** The account of the tests' Builder. */
export const builder = "0x00000000000000000000000000000000000000b1" as const;

/** A folder, names and nodes that a test's end removes. */
export class ScratchNetwork {
  readonly folder: string;
  readonly names = new SimulatedModelNames(builder);
  readonly #context: TestContext;

  private constructor(context: TestContext, folder: string) {
    this.#context = context;
    this.folder = folder;
    context.after(() => rm(folder, { recursive: true, force: true }));
  }

  static async open(context: TestContext): Promise<ScratchNetwork> {
    return new ScratchNetwork(context, await mkdtemp(join(tmpdir(), "lake-registry-")));
  }

  /** A running node with a data folder of its own. */
  async node(name: string, options: Partial<IpfsNodeOptions> = {}): Promise<IpfsNode> {
    const node = new IpfsNode({ dataDir: join(this.folder, name), ...options });
    await node.start();
    this.#context.after(() => node.stop());
    return node;
  }

  /** A file of random bytes. */
  async file(name: string, bytes: number | Buffer): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, typeof bytes === "number" ? randomBytes(bytes) : bytes);
    return path;
  }

  /** An HTTP server; returns its base URL. */
  async server(
    answer: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<string> {
    const server = createServer(answer);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
}

/** A GGUF file with the least that its reader wants, and `bytes` of weights behind it. */
export function ggufOf(weights: Uint8Array, architecture = "llama"): Buffer {
  const string = (text: string): Buffer => Buffer.concat([u64(text.length), Buffer.from(text)]);
  return Buffer.concat([
    Buffer.from("GGUF"),
    u32(3),
    u64(0),
    u64(2),
    ...[string("general.architecture"), u32(8), string(architecture)],
    ...[string(`${architecture}.context_length`), u32(4), u32(2048)],
    weights,
  ]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
