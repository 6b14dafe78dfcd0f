import { readFile } from "node:fs/promises";
import type { CID } from "multiformats/cid";
import { fromHex, LakeError, type Hex, type Startable } from "@lake-travis/protocol";
import type { BlockSource } from "./block-source.ts";
import { withBlock } from "./block-store.ts";
import { codecOf, contentIdFromHex } from "./content-id.ts";
import { BlockFetcher } from "./fetch-blocks.ts";
import { fileLengthOf } from "./file-dag.ts";
import { GatewayServer } from "./gateway-server.ts";
import { GatewaySource } from "./gateway-source.ts";
import type { Libp2pNode } from "./libp2p-node.ts";
import { limits } from "./limits.ts";
import { type AddedFile, ModelStore } from "./model-store.ts";
import { ProgressMeter } from "./progress.ts";
import { pullFile } from "./pull-file.ts";

/** How a node is set up. */
export interface IpfsNodeOptions {
  /** Folder of this node alone; models go to `models` in it. */
  readonly dataDir: string;
  /** Where the gateway listens: 127.0.0.1 unless strangers shall pull from here. */
  readonly host?: string;
  /** Port of the gateway; 0, the default, for any free one. */
  readonly port?: number;
  /** Gateways to ask in every pull, `http://host:port`. */
  readonly peers?: readonly string[];
  /** What the gateway sends at most, in bytes a second. */
  readonly uploadBytesPerSecond?: number;
  /** What pulled files may take on this disk, in bytes. */
  readonly quotaBytes?: number;
  /** Bitswap and DHT beside the gateway; off by default, for it takes a second and 100 MiB. */
  readonly libp2p?: Libp2pOptions | undefined;
}

/** How a node takes part in libp2p. */
export interface Libp2pOptions {
  /** Multiaddrs to listen on; `/ip4/127.0.0.1/tcp/0` by default. */
  readonly listen?: readonly string[];
  /** Multiaddrs of peers to connect to at the start. */
  readonly bootstrap?: readonly string[];
  /** `lan` (the default) for a network of one's own, `wide` for the public one of IPFS. */
  readonly dht?: "lan" | "wide" | "none";
}

/**
 * A node of the file-sharing network: it holds models in place, serves their blocks by the
 * trustless gateway, and pulls from others.
 *
 * @example
 * const node = new IpfsNode({ dataDir: "/var/lib/lake" });
 * await node.start();
 * const { root } = await node.putRecord(Buffer.from("one line\n"));
 * console.log(`${node.gatewayUrl}/ipfs/${root}?format=raw`);
 * await node.stop();
 */
export class IpfsNode implements Startable {
  readonly store: ModelStore;
  readonly options: IpfsNodeOptions;
  readonly #gateway: GatewayServer;
  #libp2p: Libp2pNode | undefined;
  #state: "new" | "running" | "stopped" = "new";

  /** Opens the store; throws `folder-unusable`. Nothing listens before {@link start}. */
  constructor(options: IpfsNodeOptions) {
    this.options = options;
    this.store = new ModelStore(options.dataDir);
    this.#gateway = new GatewayServer(this.store.blocks, {
      host: options.host ?? "127.0.0.1",
      port: options.port ?? 0,
      uploadBytesPerSecond: options.uploadBytesPerSecond,
    });
  }

  /** Starts the gateway; throws `port-taken`. */
  async start(): Promise<void> {
    if (this.#state !== "new") return;
    this.#state = "running";
    await this.#gateway.start();
    const { libp2p, dataDir } = this.options;
    if (libp2p === undefined) return;
    // Imported only here: a node without it starts ten times faster.
    const { Libp2pNode } = await import("./libp2p-node.ts");
    const place = { folder: dataDir, gatewayPort: this.#gateway.port };
    this.#libp2p = await Libp2pNode.start(this.store.blocks, { ...libp2p, ...place });
  }

  /** Multiaddrs of this node; none without libp2p. */
  get addresses(): readonly string[] {
    return this.#libp2p?.addresses ?? [];
  }

  /** Connects to a peer by its multiaddr; throws `holder-none`, `argument-invalid`. */
  async connect(address: string): Promise<void> {
    if (this.#libp2p === undefined) {
      throw new LakeError("argument-invalid", "This node runs without libp2p.", {
        advice: "Start it with the libp2p option to reach peers by multiaddr.",
      });
    }
    await this.#libp2p.connect(address);
  }

  /** Tells the DHT that this node holds these roots; without libp2p nothing is told. */
  async announce(roots: readonly CID[]): Promise<void> {
    for (const root of roots) await this.#libp2p?.announce(root);
  }

  /** Stops the gateway, cuts what is being sent, and closes the store. */
  async stop(): Promise<void> {
    const was = this.#state;
    this.#state = "stopped";
    if (was === "stopped") return;
    await this.#libp2p?.stop();
    if (was === "running") await this.#gateway.stop();
    this.store.index.release(process.pid);
    await this.store.close();
  }

  /** Base URL of the gateway, without a slash at the end; other nodes name it as a peer. */
  get gatewayUrl(): string {
    const host = this.options.host ?? "127.0.0.1";
    return `http://${host.includes(":") ? `[${host}]` : host}:${this.#gateway.port}`;
  }

  /**
   * Says that this process serves a model, so that no `lake models rm` or `gc` removes it while
   * the process lives; the returned function ends that.
   */
  hold(manifestDigest: Hex): () => void {
    const digest = fromHex(manifestDigest);
    this.store.index.hold(process.pid, digest);
    return () => this.store.index.release(process.pid, digest);
  }

  /** Bytes of blocks that the gateway has sent since the start. */
  get sentBytes(): number {
    return this.#gateway.sentBytes;
  }

  /** Adds a file where it lies; see {@link ModelStore.addFile}. */
  async addFile(path: string, options: { signal?: AbortSignal } = {}): Promise<AddedFile> {
    return await this.store.addFile(path, options);
  }

  /**
   * Adds bytes as a file that is served from now on, such as an epoch's Records.
   *
   * @returns the root CID, and the SHA-256 and length of the bytes.
   */
  async putRecord(bytes: Uint8Array): Promise<AddedFile> {
    return await this.store.addBytes(bytes);
  }

  /**
   * Whom a pull of `root` asks: the holders that the caller names, the node's own peers, then
   * whom the DHT names and all peers of bitswap. Multiaddrs among them are connected to.
   */
  async sources(root: CID, holders: readonly string[] = []): Promise<BlockSource[]> {
    const own = this.#state === "running" ? this.gatewayUrl : undefined;
    const named = [...new Set([...holders, ...(this.options.peers ?? [])])];
    for (const address of named.filter((each) => each.startsWith("/"))) {
      // A peer that is gone is one holder less, no reason to give up.
      await this.connect(address).catch(() => undefined);
    }
    const gateways = named.filter((each) => !each.startsWith("/") && each !== own);
    const found = (await this.#libp2p?.sources(root)) ?? [];
    const known = new Set(gateways);
    return [
      ...gateways.map((url) => new GatewaySource(url)),
      ...found.filter((source) => !known.has(source.name) && source.name !== own),
    ].slice(0, limits.holdersMax);
  }

  /**
   * Reads a file of this node, or fetches it from holders, checks it and keeps it.
   *
   * @param content root CID, or the 32 bytes that a contract keeps of it.
   * Throws `content-missing`, `holder-none`, `block-invalid`, `body-too-large`.
   */
  async readFile(
    content: CID | Hex,
    options: { holders?: readonly string[]; bytesMax?: number; signal?: AbortSignal } = {},
  ): Promise<Uint8Array> {
    const signal = options.signal ?? new AbortController().signal;
    const asked = typeof content === "string" ? contentIdFromHex("raw", content) : content;
    const fetcher = new BlockFetcher(await this.sources(asked, options.holders), signal);
    try {
      const { root, bytes, block } = await this.#measure(content, fetcher);
      const bytesMax = Math.min(options.bytesMax ?? Infinity, limits.memoryFileBytesMax);
      if (bytes > bytesMax) {
        throw new LakeError("body-too-large", `The file has ${bytes} bytes.`, {
          data: { bytes, bytesMax },
        });
      }
      const path = await this.store.addedPath(root);
      const { index, blocks } = this.store;
      if (index.fileAt(path)?.whole !== true) {
        const meter = new ProgressMeter(undefined);
        const wanted = { root, bytes, digest: undefined, path };
        const store = withBlock(blocks, root.multihash.digest, block);
        await pullFile(wanted, { index, store, fetcher, meter, signal });
      }
      return await readFile(path);
    } finally {
      await fetcher.close();
    }
  }

  /** The root block tells how long the file is; 32 bytes alone do not tell its codec. */
  async #measure(
    content: CID | Hex,
    fetcher: BlockFetcher,
  ): Promise<{ root: CID; bytes: number; block: Uint8Array }> {
    const asked = typeof content === "string" ? contentIdFromHex("raw", content) : content;
    const held = await this.store.blocks.get(asked.multihash.digest);
    const block = held ?? (await fetcher.fetchOne(asked));
    // A UnixFS node begins with the tag of field 1 or 2 (0x0a, 0x12): a line feed or a control
    // character, with which no JSON text and no JSON Lines file of ours begins.
    const isNode = typeof content === "string" && (block[0] === 0x0a || block[0] === 0x12);
    const root = isNode ? contentIdFromHex("dag-pb", content) : asked;
    return { root, block, bytes: codecOf(root) === "raw" ? block.length : fileLengthOf(block) };
  }
}
