/** Bounds of a Router of its own, each with its reason; shared ones are in the protocol. */
export const routerLimits = {
  /** Unfinished HTTP requests at once; more would only wait in memory. */
  requestsMax: 20_000,
  /**
   * Requests a second from one address, and by one signing key from wherever, in bursts of ten
   * seconds, unless told otherwise: enough for a household or a small office, and a fiftieth of
   * what one core answers.
   */
  requestsPerSecondMax: 200,
  /** Addresses, and as many keys, whose rate is remembered; beyond it the oldest are forgotten. */
  ratedAddressesMax: 50_000,
  /** A batch of Heartbeat figures: 10,000 Sessions of one Provider at 1 kB each. */
  heartbeatBytesMax: 16 * 1024 * 1024,
  /** How often due deadlines are looked at; deadlines are in whole seconds. */
  timerMs: 250,
  /** A timer that is so late was paused (a sleeping laptop, a stopped process): it heard nobody. */
  pauseMs: 2_000,
  /** How often a finished epoch is looked for; the chain's blocks are about a second apart. */
  settleMs: 500,
  /**
   * Without Records a settlement is still posted after so many epochs: after 7 without one the
   * contract's escape hatch opens.
   */
  idleEpochsMax: 4,
  /** Verdicts in one journal entry, 3 kB each; an entry has 64 MiB at most. */
  verdictsPerEventMax: 5_000,
  /** Records that a shard hands over at once, about 2 kB each. */
  shardReportRecordsMax: 1_000,
  /** One such part with all the room that its Records' texts may need. */
  shardReportBytesMax: 16 * 1024 * 1024,
  /** A shard that crashes is started again after so long, twice as long each time it does. */
  shardRestartMs: 250,
  /** The longest such pause. */
  shardRestartMsMax: 30_000,
  /** A shard that ran for so long had recovered: its next crash is a first one again. */
  shardSteadyMs: 60_000,
  /** A front waits so long for a shard's answer; an RFC may wait in the queue for 30 s. */
  shardAnswerMs: 60_000,
  /** Processes of one Router: each has a whole copy of the chain's facts in memory. */
  shardsMax: 64,
  /** Deposits booked on chain in one go; each is a transaction of about 64,000 gas. */
  collectionsMax: 16,
  /** A failed answer to a demand is tried again two seconds later, a few times in any epoch. */
  demandRetryLooks: 4,
  /** Records of one epoch in memory, about 2 kB each; then they go to the disk until its end. */
  recordsInMemoryMax: 5_000,
  /** Signed Closes and successors kept so that a repeated one costs no second signature. */
  signedNoticesMax: 20_000,
  /**
   * Events in one journal file; then a snapshot is made off the main thread and a new one begun. A
   * recovery replays so many at most, in some three seconds; a snapshot writes the whole state.
   */
  journalEventsMax: 150_000,
  /** The same in bytes, so that no recovery reads more than this. */
  journalBytesMax: 256 * 1024 * 1024,
  /** How long an entry that nobody was promised waits for one that somebody was. */
  unpromisedMs: 20,
  /** One journal entry; the largest is a Heartbeat. */
  entryBytesMax: 64 * 1024 * 1024,
  /** Offers in one list. */
  listMax: 1_000,
  /** Providers whose liveness checks are kept connected; the rest reconnects. */
  providerConnectionsMax: 1_000,
  /** Liveness checks under way at one Provider; what comes meanwhile goes into the next one. */
  acceptCallsMax: 4,
  /** While one is under way, RFCs are gathered for so long before the next one leaves. */
  acceptGatherMs: 2,
  /** So many leave at once: for them the request itself costs little more than nothing. */
  acceptGatherMin: 16,
  /** A check that broke off so early met a connection that had died; it is sent once more. */
  acceptRetryMsMax: 200,
  /** Threads for signatures; more than a large machine's main thread can feed are of no use. */
  signatureThreadsMax: 8,
  /** WebSockets at once; each may hold a few hundred kB of frames. */
  socketsMax: 1_000,
  /** WebSockets of one address: a client with many RFCs needs one. */
  socketsPerAddressMax: 32,
  /** RFCs of one WebSocket that have no outcome yet; beyond it nothing more is read from it. */
  socketRfcsMax: 1_024,
  /** Answers that a WebSocket's client has not read; beyond it nothing more is read from it. */
  socketUnreadBytesMax: 4 * 1024 * 1024,
  /** A WebSocket that answers no ping for so long is gone. */
  socketPingMs: 30_000,
} as const;

/** Bounds of the SQL projection. */
export const projectionLimits = {
  /** Connections to a database server: one writes, the others answer. */
  connectionsMax: 4,
  /** A database that does not answer a connection by then is down; it is tried again. */
  connectMsMax: 5_000,
  /** Rows of one insert; SQLite takes 32,766 parameters in one statement. */
  rowsPerInsert: 500,
  /** Rows handed to the projection's thread at once. */
  rowsPerBatch: 2_000,
  /** How often the projection looks for a new file. */
  lookMs: 1_000,
  /** Between two attempts on a database that is down. */
  retryMs: 2_000,
  /** Records in one page. */
  pageMax: 1_000,
  /** Epochs of one leaderboard: a month of days; older ones are asked for by their span. */
  boardEpochsMax: 31,
  /** Answers that are waited for at once; a burst beyond it is told to come again. */
  queriesMax: 256,
} as const;
