/** Bounds inside the state machine, each with its reason. Times in milliseconds. */
export const coreLimits = {
  /** A Tick or a connection is reported in the next beat, a second later; one beat may be lost. */
  beatSlackMs: 2_500,
  /** Ticks under way when a Session ends still count if they arrive within two beats. */
  closingMs: 2_500,
  /** A Provider that sent no Heartbeat for so long is gone: five beats and a network's hiccup. */
  providerSilentMs: 6_000,
  /** Notices are repeated in each reply for so long, since a reply may get lost. */
  noticeMs: 10_000,
  /** A chain may be so late with the first block of an epoch without Sessions running dry. */
  epochCutSlackSeconds: 20,
  /** Tickets of one User that may lapse unused in an epoch; each blocks a slot for ten seconds. */
  lapsesPerEpochMax: 20,
  /**
   * Epochs' ends that a Close may be late for: a day of the local network is far more than real.
   */
  successionsMax: 16,
  /** Delegations of one User kept since a deposit's owner may demand to see one; each is 0.5 kB. */
  coversMax: 16,
  /** The contract takes a Delegation for debits of epochs up to so many after its end. */
  coverLateEpochs: 1,
  /** Offers of one version; beyond it the version is not short of Providers. */
  offersPerVersionMax: 100_000,
  /** Offers considered for one RFC; the explanation travels with the Ticket. */
  candidatesMax: 64,
  /** RFCs looked at for one freed slot; those behind them wait for the next one. */
  dispatchTriesMax: 32,
  /** Ended Sessions that are still answered for by id; older ones are in the Records. */
  endedSessionsMax: 20_000,
  /** Notice before a Session ends by money or time: enough to top up, or to open another one. */
  endNoticeMs: 10_000,
  /**
   * Providers remembered as having failed one User in an epoch: more bad luck than that is none.
   */
  failedByMax: 16,
  /**
   * A User who says that its Provider is gone is believed if nothing is heard of the Provider for
   * so long: its silence, and a second and a half for the Router to notice it.
   */
  goneSettlesMs: 7_500,
  /** The shortest time from one round of challenges to the next. */
  challengeGapMsMin: 5_000,
  /** The longest: an epoch of the local network has a round even so. */
  challengeGapMsMax: 15_000,
  /** Question in one reply, answer in the next beat, a second apart; one of each may be lost. */
  challengeMs: 5_000,
  /** Buckets of demand in one epoch, models times prices; what is beyond is not counted. */
  demandBucketsMax: 10_000,
  /** Users counted in all buckets of one epoch, so that counting cannot fill the memory. */
  demandEntriesMax: 200_000,
  /** Different (class, Provider, price) that make an epoch's medians. */
  pricedMax: 100_000,
  /** Verdicts told to one party; older ones can be recomputed from the public Records. */
  findingsMax: 32,
  /**
   * A cleared Session waits so long for an epoch with budget left; the pool keeps what waits on.
   */
  heldEpochsMax: 8,
  /** Epochs after which a verdict is not told any more. */
  findingEpochsMax: 32,
  /** Fewer faults than this suspend nobody: the method errs in some honest Sessions. */
  suspensionFaultsMin: 3,
  /** Nor do faults in less than a tenth of a party's Sessions. */
  suspensionShareDivisor: 10,
  /** Epochs of a first suspension; each further one doubles it. */
  suspensionEpochs: 1,
  /** The longest suspension: everybody has a way back. */
  suspensionEpochsMax: 16,
  /** A Provider whose slots another shard's Sessions take is asked again after so long. */
  fullRetryMs: 1_000,
  /** Epochs whose reports and secrets are kept. */
  reportsMax: 1_000,
} as const;
