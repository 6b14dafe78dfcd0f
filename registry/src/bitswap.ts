import { withBitswap } from "@helia/bitswap";
import { defaultLogger } from "@libp2p/logger";
import type { Libp2p } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import { LakeError } from "@lake-travis/protocol";
import type { BlockSource } from "./block-source.ts";
import type { BlockStore } from "./block-store.ts";
import { limits } from "./limits.ts";

// @helia/bitswap is made to be mixed into a Helia node, of which it uses five members. This is a
// host with just those: a whole Helia would open a second block store, and importing it loads
// WebRTC, UPnP and other parts of libp2p that a server on TCP has no use for.

/** A bitswap message of one block may be a little larger than the block. */
const messageBytesMax = limits.blockBytesMax * 2;
/** Bitswap over js-libp2p loses a block now and then; asking again is the cure. */
const blockMs = 3_000;
/** A sent block may be asked for again at once, for the same reason. */
const resendMs = 500;

interface Broker {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  retrieve(cid: CID, options: { signal: AbortSignal }): Promise<Uint8Array>;
}

interface Mixin {
  start(host: unknown): Promise<void>;
}

/** Serves the store's blocks over bitswap 1.2.0 and fetches others' blocks. */
export class Bitswap {
  readonly #libp2p: Libp2p;
  readonly #store: BlockStore;
  #broker: Broker | undefined;

  constructor(libp2p: Libp2p, store: BlockStore) {
    this.#libp2p = libp2p;
    this.#store = store;
  }

  /** Begins to answer wants. */
  async start(): Promise<void> {
    const mixins: Mixin[] = [];
    const host = {
      status: "starting",
      logger: defaultLogger(),
      libp2p: this.#libp2p,
      routing: { findProviders: nobody },
      blockstore: this.#servedBlocks(),
      getHasher: () => Promise.reject(new Error("Only SHA-256 blocks are fetched.")),
      addMixin: (mixin: Mixin) => mixins.push(mixin),
      hasBlockBroker: () => false,
      addBlockBroker: (broker: Broker) => {
        this.#broker = broker;
      },
    };
    withBitswap(host as unknown as Parameters<typeof withBitswap>[0], {
      maxIncomingMessageSize: messageBytesMax,
      maxOutgoingMessageSize: messageBytesMax,
      doNotResendBlockWindow: resendMs,
      maxInboundStreams: limits.bitswapStreamsMax,
      maxOutboundStreams: limits.bitswapStreamsMax,
    });
    for (const mixin of mixins) await mixin.start(host);
  }

  /** A source that asks all connected peers. */
  source(): BlockSource {
    return {
      name: "bitswap",
      parallel: limits.connectionsPerHolder,
      fetch: async (cid, target, signal) => {
        const broker = this.#broker;
        if (broker === undefined || this.#libp2p.getPeers().length === 0) {
          throw new LakeError("content-missing", "No bitswap peer is connected.");
        }
        const deadline = AbortSignal.timeout(blockMs);
        const bytes = await broker
          .retrieve(cid, { signal: AbortSignal.any([signal, deadline]) })
          .catch((cause: unknown) => {
            signal.throwIfAborted();
            throw new LakeError("content-missing", "No bitswap peer sent the block.", { cause });
          });
        if (bytes.length > target.length) {
          throw new LakeError("block-invalid", "It sent too many bytes.");
        }
        target.set(bytes);
        return bytes.length;
      },
      close: () => Promise.resolve(),
    };
  }

  /** Ends answering. */
  async stop(): Promise<void> {
    await this.#broker?.stop();
    this.#broker = undefined;
  }

  #servedBlocks(): object {
    const store = this.#store;
    return {
      has: (cid: CID) => store.find(cid.multihash.digest) !== undefined,
      get: async function* (cid: CID): AsyncGenerator<Uint8Array> {
        const bytes = await store.get(cid.multihash.digest);
        if (bytes === undefined) throw new LakeError("content-missing", `${cid} is gone.`);
        yield bytes;
      },
    };
  }
}

/** Whom to ask is decided once per pull, not per block. */
async function* nobody(): AsyncGenerator<never> {
  await Promise.resolve();
}
