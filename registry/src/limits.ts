const kib = 1024;
const mib = 1024 * kib;
const gib = 1024 * mib;

/** Every bound of the registry, each with its reason. */
export const limits = {
  /** What IPFS implementations agree to carry in one block, and so the largest buffer needed. */
  blockBytesMax: 2 * mib,
  /** Leaf size of the profile unixfs-v1-2025. */
  leafBytes: mib,
  /** Links of one node in the profile unixfs-v1-2025. */
  nodeLinks: 1024,
  /** Links of a node made by others: what fits a block of 2 MiB at 40 bytes a link. */
  nodeLinksMax: 52_428,
  /** Depth of a file's DAG: 1024 ** 4 leaves of 1 MiB are an exbibyte. */
  dagDepthMax: 8,
  /** Mean leaf size below which a DAG wastes memory; Kubo's old default is the smallest in use. */
  leafBytesMeanMin: 256 * kib,
  /** Leaves a small file may have whatever their size. */
  leavesAlways: 1024,
  /** A manifest with its embedded config: one raw block, far below the block limit. */
  manifestBytesMax: mib,
  /** Files of one model: the largest known checkpoint has 163 weights files. */
  layersMax: 1024,
  /** One file: Hugging Face takes 50 GB at most, and a pull's memory grows with the leaves. */
  layerBytesMax: 256 * gib,
  /** One model with all its files. */
  modelBytesMax: 4096 * gib,
  /** A path inside a model: what every file system accepts with a folder in front of it. */
  filePathMax: 200,
  /** Folders inside a model. */
  filePathDepthMax: 8,
  /** Annotations of a manifest: a page of facts, not a database. */
  annotationsMax: 64,
  /** The length of one annotation: a licence's short text fits. */
  annotationLengthMax: 16 * kib,
  /** Connections to one holder: TCP windows of four keep a 10 Gbit/s link busy. */
  connectionsPerHolder: 4,
  /** Connections of one pull, which bounds its buffers to 32 MiB. */
  connectionsPerPull: 16,
  /** Holders tried in one pull; more would only cost requests. */
  holdersMax: 32,
  /** Quiet time after which a request to a holder is given up. */
  stallMs: 5_000,
  /** Time for a connection to open. */
  connectMs: 5_000,
  /** Time for one block while other holders are there to ask: 2 MiB at 70 kB/s. */
  blockMsWithOthers: 30_000,
  /** Time for one block from the only holder: 2 MiB at 9 kB/s. */
  blockMsAlone: 240_000,
  /** Failures in a row after which a holder is dropped. */
  holderFailuresMax: 5,
  /** Age of a request at which an idle holder is asked for the same block. */
  endgameMs: 700,
  /** First pause after a failed request; it doubles up to `retryMsMax`. */
  retryMs: 200,
  /** Longest pause: a holder that is back after a restart is asked within this time. */
  retryMsMax: 5_000,
  /** A pull without one new verified block for so long ends; what is there stays for a resume. */
  noProgressMs: 60_000,
  /** Response headers of a gateway. */
  headerBytesMax: 16 * kib,
  /** Sockets of the gateway: 16 pulls at 16 connections each. */
  gatewayConnectionsMax: 256,
  /** Blocks being read or sent by the gateway at once, which bounds its memory to 64 MiB. */
  gatewayReadsMax: 64,
  /** Time a gateway client may take for its request line and headers. */
  gatewayHeadersMs: 10_000,
  /** Peers of libp2p; each costs about 100 KiB. */
  libp2pConnectionsMax: 200,
  /** Streams of bitswap with one peer, each with messages of one block. */
  bitswapStreamsMax: 64,
  /** Open files of the block store. */
  openFilesMax: 64,
  /** Copies of one block that are tried: of a file that was moved, the old place is stale. */
  blockCopiesMax: 4,
  /** How often the store checks that a file it serves from was not changed. */
  fileCheckMs: 2_000,
  /** Verified blocks that may wait for one write to the index. */
  indexBatch: 64,
  /** How long a verified block may wait for the write to the index. */
  indexBatchMs: 200,
  /** Quiet time after which an import's request is tried again: such hosts are slow at first. */
  importStallMs: 20_000,
  /** A repository's list of files; the longest on Hugging Face have some MiB. */
  importListBytesMax: 16 * mib,
  /** Files in a folder that is published, hidden ones included. */
  folderEntriesMax: 4_096,
  /** Bytes that `addBytes` and `readFile` keep in memory; larger content goes through files. */
  memoryFileBytesMax: 512 * mib,
} as const;
