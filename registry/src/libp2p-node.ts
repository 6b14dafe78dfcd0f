import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import type { ContentRouting, Libp2p, PrivateKey } from "@libp2p/interface";
import { kadDHT, passthroughMapper, type KadDHT } from "@libp2p/kad-dht";
import { noise } from "@libp2p/noise";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import type { CID } from "multiformats/cid";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LakeError } from "@lake-travis/protocol";
import type { BlockSource } from "./block-source.ts";
import type { BlockStore } from "./block-store.ts";
import { Bitswap } from "./bitswap.ts";
import { GatewaySource } from "./gateway-source.ts";
import type { Libp2pOptions } from "./ipfs-node.ts";
import { limits } from "./limits.ts";

// Warning: js-libp2p's yamux drops a stream when data outruns its reader, and its connection
// monitor cuts busy connections whose ping is late. Both would lose blocks under load, so the
// first gets a large buffer and the second is switched off.

/** Bytes that may wait in one stream: 64 blocks, which a bitswap peer may send in one go. */
const streamBufferBytes = 2 ** 28;
/** How long a search in the DHT may take before the pull goes on with what was found. */
const findMs = 5_000;
/** How long announcing one CID may take. */
const announceMs = 10_000;

/** The part of a node that other IPFS implementations talk to: libp2p, bitswap, DHT. */
export class Libp2pNode {
  readonly #libp2p: Libp2p<{ dht?: KadDHT }>;
  readonly #bitswap: Bitswap;
  readonly #options: Libp2pOptions;

  private constructor(libp2p: Libp2p, store: BlockStore, options: Libp2pOptions) {
    this.#libp2p = libp2p;
    this.#options = options;
    this.#bitswap = new Bitswap(libp2p, store);
  }

  /**
   * Starts libp2p with the key in `folder`, which is made if there is none.
   *
   * @param gatewayPort announced as `/http` address, so that pullers who find this node in the
   * DHT use the faster gateway.
   */
  static async start(
    store: BlockStore,
    options: Libp2pOptions & { readonly folder: string; readonly gatewayPort: number },
  ): Promise<Libp2pNode> {
    const listen = options.listen ?? ["/ip4/127.0.0.1/tcp/0"];
    const hosts = listen.map((address) => address.split("/tcp/")[0] ?? "");
    const libp2p = await createLibp2p({
      privateKey: await loadKey(options.folder),
      addresses: {
        listen: [...listen],
        appendAnnounce: hosts
          .filter((host) => !/\/(?:0\.0\.0\.0|::)$/.test(host))
          .map((host) => `${host}/tcp/${options.gatewayPort}/http`),
      },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux({ streamOptions: { maxReadBufferLength: streamBufferBytes } })],
      connectionMonitor: { abortConnectionOnPingFailure: false },
      connectionManager: { maxConnections: limits.libp2pConnectionsMax },
      services: { identify: identify(), ping: ping(), ...dhtService(options.dht ?? "lan") },
    });
    const node = new Libp2pNode(libp2p, store, options);
    await node.#bitswap.start();
    for (const address of options.bootstrap ?? []) {
      // One dead bootstrap address must not keep a node from starting.
      await node.connect(address).catch(() => undefined);
    }
    return node;
  }

  /** Addresses with the peer id, as other nodes dial them. */
  get addresses(): readonly string[] {
    return this.#libp2p
      .getMultiaddrs()
      .map(String)
      .filter((address) => !isGatewayAddress(address));
  }

  /** Connects to a peer by its multiaddr; throws `holder-none`. */
  async connect(address: string): Promise<void> {
    try {
      const signal = AbortSignal.timeout(limits.connectMs);
      await this.#libp2p.dial(multiaddr(address), { signal });
    } catch (cause) {
      throw new LakeError("holder-none", `The peer ${address} cannot be reached.`, { cause });
    }
  }

  /** Says in the DHT that this node holds a CID; a DHT without other members is no failure. */
  async announce(cid: CID): Promise<void> {
    if (this.#options.dht === "none") return;
    const signal = AbortSignal.timeout(announceMs);
    // Announcing is a hint: whoever cannot be told finds the holder by another way.
    await this.#libp2p.contentRouting.provide(cid, { signal }).catch(() => undefined);
  }

  /**
   * Whom to ask for the blocks of `root`: bitswap with all connected peers, and the gateways of
   * those whom the DHT names.
   */
  async sources(root: CID): Promise<BlockSource[]> {
    const gateways = new Map<string, GatewaySource>();
    let found = 0;
    try {
      const signal = AbortSignal.timeout(findMs);
      if (this.#options.dht !== "none") {
        for await (const provider of this.#libp2p.contentRouting.findProviders(root, { signal })) {
          found += 1;
          if (found > limits.holdersMax) break;
          if (provider.id.equals(this.#libp2p.peerId)) continue;
          const addresses = provider.multiaddrs.map(String);
          for (const url of addresses.flatMap((address) => gatewayUrlOf(address) ?? [])) {
            gateways.set(url, new GatewaySource(url));
          }
          const dialable = provider.multiaddrs.filter((each) => !isGatewayAddress(String(each)));
          await this.#libp2p.dial(dialable, { signal }).catch(() => undefined);
        }
      }
    } catch {
      // The search ended by its time limit or found nobody; configured peers are still there.
    }
    return [...gateways.values(), this.#bitswap.source()];
  }

  /** How many peers are connected now. */
  get peers(): number {
    return this.#libp2p.getPeers().length;
  }

  /** Closes all connections. */
  async stop(): Promise<void> {
    await this.#bitswap.stop();
    await this.#libp2p.stop();
  }
}

function dhtService(
  dht: "lan" | "wide" | "none",
): Record<string, (parts: never) => ContentRouting> {
  if (dht === "none") return {};
  // The mapper keeps loopback and private addresses, of which a local network consists.
  const service =
    dht === "lan"
      ? kadDHT({
          protocol: "/ipfs/lan/kad/1.0.0",
          peerInfoMapper: passthroughMapper,
          clientMode: false,
        })
      : kadDHT({ protocol: "/ipfs/kad/1.0.0" });
  return { dht: service as unknown as (parts: never) => ContentRouting };
}

function isGatewayAddress(address: string): boolean {
  return /\/https?(?:\/p2p\/[^/]+)?$/.test(address);
}

function gatewayUrlOf(address: string): string | undefined {
  const found = /^\/(ip4|ip6|dns[46]?)\/([^/]+)\/tcp\/(\d+)\/(https?)(?:\/|$)/.exec(address);
  if (found === null) return undefined;
  const [, kind = "", host = "", port = "", scheme = ""] = found;
  return `${scheme}://${kind === "ip6" ? `[${host}]` : host}:${port}`;
}

async function loadKey(folder: string): Promise<PrivateKey> {
  const path = join(folder, "ipfs-key");
  const known = await readFile(path).catch(() => undefined);
  if (known !== undefined) return privateKeyFromProtobuf(known);
  const key = await generateKeyPair("Ed25519");
  await writeFile(path, privateKeyToProtobuf(key), { mode: 0o600, flag: "wx" });
  await chmod(path, 0o600);
  return key;
}
