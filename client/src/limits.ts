/** Every bound of the User's node, each with its reason. */
export const clientLimits = {
  /** Sessions open at once; more than a person's tools need, fewer than would hurt. */
  sessionsMax: 64,
  /** How long a request waits for a slot of a busy Session; OpenAI's own clients wait minutes. */
  slotWaitMsMax: 60_000,
  /** After the network had no further Session to give, it is asked again this much later. */
  reopenAfterMs: 1_000,
  /** Idle time that is never held against the share: a single short question may be followed up. */
  idleFreeMs: 60_000,
  /** A Session that the Router is about to end takes no new request this long before. */
  noticeMs: 10_000,
  /** Requests answered at once; each may hold a body of megabytes. */
  requestsMax: 256,
  /** Other Providers tried for one request; whoever fails at four fails at all. */
  failoversMax: 3,
  /** Characters of an answer kept in case its Provider dies; longer answers cannot go on. */
  continuableCharsMax: 4 * 1024 * 1024,
  /** Bytes of one server-sent event; a token with its probabilities takes a few thousand. */
  eventBytesMax: 4 * 1024 * 1024,
  /** How long a list of Offers is believed. */
  offersMsMax: 2_000,
  /** How long the allowance that the Router told is shown before it is asked again. */
  allowanceMsMax: 5_000,
  /** An unused connection to a Provider is kept this long for the next Session there. */
  connectionIdleMs: 30_000,
  /** Providers whose connections are kept, used or not. */
  connectionsMax: 128,
  /** Model aliases of one configuration. */
  aliasesMax: 1_000,
} as const;
