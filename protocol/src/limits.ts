/** Every bound of the protocol, each with its reason. LIMITS.md lists them with the other ones. */
export const limits = {
  /** A handle without its digest: `builder/name:tag`, 64 + 1 + 64 + 1 + 64 with room to spare. */
  modelNameMax: 200,
  /** Engine and hardware classes are short slugs such as `cpu-x64-2`. */
  classNameMax: 64,
  /** An endpoint is scheme, host and port. */
  urlMax: 256,
  /** Provider, agent's Builder, base model's Builder, and one to spare. */
  payeesMax: 4,
  /** A JSON control message; the largest (a Ticket with its Offer and Accept) is below 8 KiB. */
  controlBodyBytesMax: 64 * 1024,
  /** A prompt with images in base64; larger ones belong in documents. */
  inferenceBodyBytesMax: 8 * 1024 * 1024,
  /** An RFC may not be signed for later use: replays are remembered only this long. */
  rfcDeadlineMsMax: 120_000,
  /** How far two honest clocks may differ. */
  clockSkewMsMax: 5_000,
  /** A Delegation of a wallet is renewed at least this often. */
  delegationMsMax: 366 * 86_400_000,
  /** An Offer must be renewed, so that a dead Provider disappears by itself. */
  offerMsMax: 3_600_000,
  /** One Provider's Offers, so that nobody fills the Router's memory. */
  offersPerProviderMax: 64,
  /** The longest Session; an epoch's end renews it by a successor Ticket. */
  sessionSecondsMax: 86_400,
  /** Time for a User to connect after the Ticket. */
  connectMsMax: 10_000,
  /** How long a Provider has to answer the liveness check. */
  acceptMsMax: 2_000,
  /** Accepts asked for in one request: as many as a burst brings, and the first waits for all. */
  acceptBatchMax: 64,
  /** Such a request: each RFC with the longest model name is below 2 KiB. */
  acceptBatchBytesMax: 128 * 1024,
  /** RFCs in one WebSocket frame: more would only make the first one's answer late. */
  rfcsPerFrameMax: 64,
  /** Such a frame: each RFC with the longest model name and routing wish is below 6 KiB. */
  rfcFrameBytesMax: 384 * 1024,
  /** How far the User's signature reaches ahead; also what a vanished User may be charged extra. */
  tickSeconds: 2,
  /** Ticks may be this late before the Provider stops serving. */
  tickGraceMs: 3_000,
  /** Open Sessions of one User at one Router. */
  sessionsPerUserMax: 64,
  /** RFCs of one User that wait at the same time. */
  queuedPerUserMax: 4,
  /** All RFCs that wait at one Router. */
  queueMax: 10_000,
} as const;
