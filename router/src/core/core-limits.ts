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
  /**
   * The dearest price that allowances pay for, in wei per second, until a median of the last epoch
   * is known: 10 MOR an hour, far above any honest offer, far below what drains a budget at once.
   */
  allowanceWeiPerSecondMax: 2_777_777_777_777_777n,
  /** Tickets of one User that may lapse unused in an epoch; each blocks a slot for ten seconds. */
  lapsesPerEpochMax: 20,
  /**
   * Epochs' ends that a Close may be late for: a day of the local network is far more than real.
   */
  successionsMax: 16,
  /** Offers of one version; beyond it the version is not short of Providers. */
  offersPerVersionMax: 100_000,
  /** Offers considered for one RFC; the explanation travels with the Ticket. */
  candidatesMax: 64,
  /** RFCs looked at for one freed slot; those behind them wait for the next one. */
  dispatchTriesMax: 32,
  /** Ended Sessions that are still answered for by id; older ones are in the Records. */
  endedSessionsMax: 20_000,
  /** Epochs whose reports and secrets are kept. */
  reportsMax: 1_000,
} as const;
