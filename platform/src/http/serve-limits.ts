/** Every bound of a listening server, each with its reason. */
export const serveLimits = {
  /** A TLS handshake or a head that takes longer is a slow-loris attack, not a slow network. */
  headersMs: 10_000,
  /** The largest prompt, 8 MiB, at 1 Mbit/s takes 67 s; who is slower than half of that is cut. */
  requestMs: 120_000,
  /** An HTTP/2 connection without a request so long gives its place to others. */
  idleMs: 60_000,
  /** How often the above are looked at; a time is kept to within this. */
  checkMs: 2_000,
  /** Each holds about 60 kB under TLS, 250 MB all together; beyond it silent ones are dropped. */
  connectionsMax: 4_096,
  /** Requests at once on one HTTP/2 connection: twice what one Session may have queued. */
  streamsPerConnectionMax: 128,
  /** What is read of a body that was refused already: about what lies in the network's buffers. */
  drainBytesMax: 1024 * 1024,
  /** How long answers under way may take at a stop, where nobody says otherwise. */
  closeGraceMs: 2_000,
} as const;

/** Bounds that one server may have otherwise than others. */
export interface ServePatience {
  readonly headersMs: number;
  readonly requestMs: number;
  readonly idleMs: number;
  readonly checkMs: number;
  readonly connectionsMax: number;
}
