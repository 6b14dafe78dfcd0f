import {
  type Accept,
  acceptType,
  type Address,
  type Clock,
  closeType,
  closeReasons,
  type CountersignedTick,
  domainSeparatorOf,
  type Domain,
  heartbeatDigest,
  heartbeatSignatureHeader,
  type Hex,
  type HeartbeatReply,
  LakeError,
  limits,
  messageHash,
  messageToJson,
  type Offer,
  offerType,
  parties,
  providerPaths,
  rfcType,
  routerPaths,
  type Signed,
  signedFromJson,
  signedToJson,
  type Signer,
  signMessage,
  type Tick,
  tickType,
  zeroBytes32,
} from "@lake-travis/protocol";
import {
  createHttpClient,
  errorResponse,
  type HttpServer,
  loadOrCreateCertificate,
  readJson,
  serveHttp,
} from "@lake-travis/platform";

const nothing = { connected: [], closes: [] } as const;

/** One RFC of an AcceptBatch, not yet read. */
interface AcceptAsked {
  readonly rfc: unknown;
  readonly offerHash: Hex;
}

/** How a {@link SimulatedProvider} is set up. */
export interface SimulatedProviderOptions {
  readonly folder: string;
  readonly account: Address;
  readonly signer: Signer;
  readonly domain: Domain;
  readonly clock: Clock;
  readonly routerUrl: string;
}

/** A Provider without an engine: it speaks the protocol on a real TLS socket, with a real key. */
export class SimulatedProvider {
  readonly http = createHttpClient({ unreachable: "router-unreachable" });
  readonly #options: SimulatedProviderOptions;
  readonly #separator: Uint8Array;
  #server: HttpServer | undefined;
  #fingerprint: Hex = zeroBytes32;
  #at = 0;
  #sequence = 0;
  /** Called at each liveness check; one that throws refuses. */
  onAccept: () => Promise<void> = () => Promise.resolve();

  constructor(options: SimulatedProviderOptions) {
    this.#options = options;
    this.#separator = domainSeparatorOf(options.domain);
  }

  async start(): Promise<void> {
    const { folder, clock } = this.#options;
    const certificate = await loadOrCreateCertificate(folder, clock);
    this.#fingerprint = certificate.fingerprint;
    this.#server = await serveHttp({
      fetch: (request) => this.#answer(request).catch(errorResponse),
      host: "127.0.0.1",
      port: 0,
      tls: certificate,
    });
  }

  async stop(): Promise<void> {
    await this.#server?.close(100);
    await this.http.close();
  }

  /** An Offer of this Provider, signed. */
  offer(figures: Partial<Offer> & Pick<Offer, "model" | "manifestDigest">): Signed<Offer> {
    this.#sequence += 1;
    const message: Offer = {
      provider: this.#options.account,
      weiPerSecond: 1_000n,
      minSeconds: 0,
      slots: 4,
      milliTps: 50_000,
      engineClass: "simulated",
      hardwareClass: "cpu",
      endpoint: `https://127.0.0.1:${this.#server?.port ?? 0}`,
      tlsFingerprint: this.#fingerprint,
      validUntil: this.#options.clock.now() + 600_000,
      sequence: this.#sequence,
      ...figures,
    };
    return signMessage(this.#separator, offerType, message, this.#options.signer);
  }

  /** Sends an Offer to the Router and returns its hash. */
  async publish(figures: Parameters<SimulatedProvider["offer"]>[0]): Promise<Hex> {
    const signed = this.offer(figures);
    const url = this.#options.routerUrl + routerPaths.offers;
    await this.http.json("POST", url, signedToJson(offerType, signed));
    return messageHash(this.#separator, offerType, signed.message);
  }

  /** A User's Tick with this Provider's countersignature. */
  countersign(tick: Signed<Tick>): CountersignedTick {
    const { signature: countersignature } = signMessage(
      this.#separator,
      tickType,
      tick.message,
      this.#options.signer,
    );
    return { tick: tick.message, signature: tick.signature, countersignature };
  }

  /** Sends a Heartbeat. */
  async beat(said: {
    readonly connected?: readonly Hex[];
    readonly ticks?: readonly CountersignedTick[];
    readonly closes?: readonly { readonly sessionId: Hex; readonly tickHash: Hex }[];
    readonly reason?: (typeof closeReasons)[number];
  }): Promise<HeartbeatReply> {
    const { signer } = this.#options;
    const reason = closeReasons.indexOf(said.reason ?? "finished");
    const party = parties.indexOf("provider");
    const closes = (said.closes ?? []).map((close) => {
      const message = { ...close, party, reason };
      return signedToJson(closeType, signMessage(this.#separator, closeType, message, signer));
    });
    const ticks = (said.ticks ?? []).map(({ tick, ...signatures }) => {
      return JSON.stringify({ tick: messageToJson(tickType, tick), ...signatures });
    });
    return this.beatText(ticks, { connected: said.connected ?? [], closes });
  }

  /** Sends a Heartbeat whose Ticks are JSON already. */
  async beatText(
    ticks: readonly string[],
    rest: { readonly connected: readonly Hex[]; readonly closes: readonly unknown[] } = nothing,
  ): Promise<HeartbeatReply> {
    const { account, signer, clock, routerUrl } = this.#options;
    this.#at = Math.max(this.#at + 1, clock.now());
    const head = JSON.stringify({ provider: account, at: this.#at, ...rest });
    const body = Buffer.from(`${head.slice(0, -1)},"ticks":[${ticks.join(",")}]}`);
    const signature = signer.sign(heartbeatDigest(this.#separator, body));
    return (await this.http.json("POST", routerUrl + routerPaths.heartbeats, body, {
      headers: { [heartbeatSignatureHeader]: signature },
    })) as HeartbeatReply;
  }

  async #answer(request: Request): Promise<Response> {
    if (new URL(request.url).pathname !== providerPaths.accepts) {
      return new Response(null, { status: 404 });
    }
    const { requests } = (await readJson(request, limits.acceptBatchBytesMax)) as {
      requests: AcceptAsked[];
    };
    const answers = await Promise.all(requests.map((asked) => this.#acceptOf(asked)));
    return Response.json({ answers });
  }

  async #acceptOf({ rfc, offerHash }: AcceptAsked): Promise<unknown> {
    try {
      await this.onAccept();
    } catch (error) {
      if (error instanceof LakeError) return error.toBody();
      throw error;
    }
    // The signature is the Router's to check; a real Provider checks it too.
    const { message } = signedFromJson(rfcType, rfc);
    const accept: Accept = {
      rfcHash: messageHash(this.#separator, rfcType, message),
      offerHash,
      expiresAt: this.#options.clock.now() + 10_000,
    };
    const signed = signMessage(this.#separator, acceptType, accept, this.#options.signer);
    return signedToJson(acceptType, signed);
  }
}
