/** Bounds of a Router of its own, each with its reason; shared ones are in the protocol. */
export const routerLimits = {
  /** Unfinished HTTP requests at once; more would only wait in memory. */
  requestsMax: 20_000,
  /**
   * Requests a second from one address, in bursts of ten seconds, unless told otherwise: enough for
   * a household or a small office, and a fiftieth of what one core answers.
   */
  requestsPerSecondMax: 200,
  /** Addresses whose rate is remembered; beyond it the oldest are forgotten. */
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
  /** Signed Closes kept so that a repeated notice costs no second signature. */
  signedClosesMax: 20_000,
  /**
   * Events in one journal file; then a snapshot is made off the main thread and a new one begun.
   */
  journalEventsMax: 50_000,
  /** The same in bytes, so that no recovery reads more than this. */
  journalBytesMax: 256 * 1024 * 1024,
  /** One journal entry; the largest is a Heartbeat. */
  entryBytesMax: 64 * 1024 * 1024,
  /** Offers in one list. */
  listMax: 1_000,
  /** Providers whose liveness checks are kept connected; the rest reconnects. */
  providerConnectionsMax: 1_000,
} as const;
