/** Every bound of a Provider, each with its reason. */
export const limits = {
  /** Accepts that wait for their Ticket; each expires within {@link limits.acceptMs}. */
  grantsMax: 1_024,
  /** How long an Accept stands: the Router's own work, then the User's time to connect. */
  acceptMs: 15_000,
  /** Accepts asked for in one second by strangers; what Routers ask is bounded by the slots. */
  acceptsPerSecondMax: 200,
  /** Ended Sessions are kept so long, for a client that asks why and for late Ticks. */
  endedMsMax: 120_000,
  /** Ended Sessions kept at all, oldest dropped first. */
  endedMax: 4_096,
  /** How long a Session waits, after its epoch's end, for its User to open the successor. */
  successorMs: 10_000,
  /** Requests of one Session that wait for a slot; a client that sends more is not reading. */
  queuedPerSessionMax: 64,
  /** Times to first token of a Session whose median is shown: the newest ones. */
  ttftSamplesMax: 101,
  /** A Provider reports once a second, as the Router's patience with it is a few seconds. */
  heartbeatMs: 1_000,
  /** A Router that needs longer for a Heartbeat is treated as gone for this beat. */
  heartbeatTimeoutMs: 5_000,
  /** Reports of each kind in one Heartbeat, 1 kB all together; the rest goes at once behind it. */
  reportsPerBeatMax: 256,
  /** An Offer stands so long; it is renewed at half of it. */
  offerMs: 600_000,
  /** A certificate is replaced at this age: a stolen key is of use for a season at most. */
  certificateMs: 90 * 86_400_000,
  /** Older certificates shown to those who pin them; each renewal adds one for minutes to hours. */
  retiredCertificatesMax: 16,
  /** The journal is rewritten without ended Sessions when it has grown beyond this. */
  journalBytesMax: 16 * 1024 * 1024,
  /** Running answers may take so long to finish at a stop; then they are cut. */
  drainMs: 5_000,
  /** How often Ticks are checked against the clock: a tenth of the grace. */
  sweepMs: 300,
  /** Tokens of each stream while speed is measured; the time below ends it earlier. */
  measureTokensMax: 256,
  /** Time for each of the two measurements, so that a start stays short. */
  measureMs: 400,
  /** How often the window below is compared with the Offer: slower than Users come and go. */
  speedCheckMs: 10_000,
  /** Answers of a rolling window whose speed is published. */
  speedSamplesMax: 64,
} as const;
