/** Every bound of operating a Provider, each with its reason. */
export const operateLimits = {
  /** A configuration of 64 models with every comment is below 64 kB. */
  configBytesMax: 256 * 1024,
  /** Values in one list of the configuration: Routers or holders that a person names. */
  listedMax: 64,
  /** A path or a name in the configuration; Linux allows paths of 4,096 bytes. */
  textMax: 4_096,
  /** Models in one configuration: the Router takes 64 Offers of one Provider. */
  modelsMax: 64,
  /** The earnings ledger is summed up by day and model when it has grown beyond this. */
  ledgerBytesMax: 8 * 1024 * 1024,
  /** Sessions whose second report is recognised; the book itself keeps ended ones two minutes. */
  knownSessionsMax: 8_192,
  /** Lines of the earnings table in a terminal; --json has them all. */
  earningsRowsShown: 14,
  /** Below this a disk is red: a journal's rewrite needs its own size again. */
  diskFreeBytesMin: 1_000_000_000,
  /** Below this the system may soon end an engine to save itself. */
  memoryFreeBytesMin: 300_000_000,
  /** A Router that needs longer than this to say who it is, is no use for Heartbeats. */
  routerMs: 5_000,
  /** How often prices are compared: slower than a price war, faster than demand changes. */
  followPricesMs: 15_000,
  /** How often the plan of models is made again: loading one takes about as long. */
  followDemandMs: 30_000,
  /** Settled epochs that demand is read from: ten days tell a trend from a moment. */
  demandEpochs: 10,
  /** Records read for one plan, newest epochs first. */
  demandBytesMax: 64 * 1024 * 1024,
  /** One line of a Records file; a Record is below 2 kB. */
  recordLineMax: 1024 * 1024,
  /** Time for one epoch's Records. */
  recordsMs: 30_000,
  /** Models whose manifests are looked at, the best-selling first. */
  demandModelsMax: 32,
  /** No chain in use is silent so long; a local one may sleep a little between two settlements. */
  blockAgeMsMax: 10 * 60_000,
  /** A process of one's own machine that takes longer hangs. */
  controlMs: 5_000,
  /** A status with ten years of 64 models stays below this. */
  controlBytesMax: 64 * 1024 * 1024,
} as const;
