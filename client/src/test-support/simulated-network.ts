/*
 * A Router that grants what it is asked for, over real HTTP with real signatures, and the Providers
 * behind it: enough for a User's node to be run against, without a chain.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Address,
  acceptType,
  type Close,
  closeType,
  type Deployment,
  domainOf,
  domainSeparatorOf,
  type ErrorCode,
  type Hex,
  keccak256Hex,
  LakeError,
  messageHash,
  type NodeDirectory,
  offerType,
  type RequestForCompute,
  rfcType,
  routerPaths,
  type RoutingWish,
  signedFromJson,
  signedToJson,
  signMessage,
  type Ticket,
  ticketType,
  zeroBytes32,
} from "@lake-travis/protocol";
import {
  createLogger,
  errorResponse,
  generateKey,
  type HttpServer,
  nativeSignatures,
  serveHttp,
  signerFromKey,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import { LakeClient, type LakeClientOptions } from "../lake-client.ts";
import { walletOfSigner } from "../wallet/user-wallet.ts";
import { type ProviderScript, SimulatedProvider } from "./simulated-provider.ts";

/** The one model that this network serves. */
export const simulatedModel = "lake/counting";
const model = `${simulatedModel}:latest`;
const digest: Hex = `0x${"d1".repeat(32)}`;
const address = (text: string): Address => keccak256Hex(Buffer.from(text)).slice(0, 42) as Address;

/** See the head of this file. */
export class SimulatedNetwork {
  readonly folder = mkdtempSync(join(tmpdir(), "lake-client-"));
  readonly deployment: Deployment = {
    chainId: 31_337,
    rpcUrl: "http://127.0.0.1:1",
    deployBlock: 0,
    schedule: { genesisMs: Date.now() - 1_000, lengthMs: 3_600_000 },
    mor: address("mor"),
    modelRegistry: address("modelRegistry"),
    nodeRegistry: address("nodeRegistry"),
    computeContract: address("computeContract"),
  };
  readonly separator = domainSeparatorOf(domainOf(this.deployment));
  readonly account = address("router");
  readonly providers: SimulatedProvider[] = [];
  /** Every RFC with its wish, oldest first. */
  readonly rfcs: { readonly rfc: RequestForCompute; readonly wish: RoutingWish | undefined }[] = [];
  readonly closes: Close[] = [];
  /** Set: every RFC is refused so. */
  refuseWith: ErrorCode | undefined;
  /** How far this Router's clock is from ours. */
  skewMs = 0;
  maxSeconds = 600;
  readonly #signer = signerFromKey(generateKey());
  readonly #clients: LakeClient[] = [];
  #server: HttpServer | undefined;

  get url(): string {
    return `http://127.0.0.1:${this.#server?.port ?? 1}`;
  }

  /** Starts the Router and a Provider for each script; the first is asked first. */
  async start(
    ...scripts: readonly Partial<ProviderScript>[]
  ): Promise<readonly SimulatedProvider[]> {
    const fetch = async (request: Request): Promise<Response> => {
      try {
        return await this.#answer(request);
      } catch (error) {
        return errorResponse(error);
      }
    };
    this.#server = await serveHttp({ fetch, host: "127.0.0.1", port: 0 });
    for (const [index, script] of scripts.entries()) {
      const provider = new SimulatedProvider(address(`provider ${index}`), this.separator, script);
      await provider.start(mkdtempSync(join(this.folder, "provider-")));
      this.providers.push(provider);
    }
    return this.providers;
  }

  /** A User's node of this network, started. */
  async client(options: Partial<LakeClientOptions> = {}): Promise<LakeClient> {
    const client = new LakeClient({
      deployment: this.deployment,
      dataDir: mkdtempSync(join(this.folder, "client-")),
      routerUrl: this.url,
      idleMs: 20_000,
      maxWeiPerSecond: 1_000_000n,
      allowed: { epochLimit: 10n ** 18n, debitCeiling: 0n, lifetimeMs: 86_400_000 * 30 },
      wallet: () => Promise.resolve(walletOfSigner(signerFromKey(generateKey()))),
      clock: systemClock,
      random: systemRandom,
      signatures: nativeSignatures,
      directory: this.directory,
      logger: createLogger({ name: "test", level: "silent" }),
      ...options,
    });
    this.#clients.push(client);
    await client.start();
    return client;
  }

  get directory(): NodeDirectory {
    return {
      signingKeyOf: (account) => {
        if (account === this.account) return Promise.resolve(this.#signer.address);
        const provider = this.providers.find((known) => known.account === account);
        return Promise.resolve(provider?.signer.address);
      },
    };
  }

  async stopRouter(): Promise<void> {
    await this.#server?.close(0);
    this.#server = undefined;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    await Promise.all(this.providers.map((provider) => provider.die()));
    await this.stopRouter();
    rmSync(this.folder, { recursive: true });
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const now = Date.now() + this.skewMs;
    if (pathname === routerPaths.status) {
      const { chainId, computeContract } = this.deployment;
      return Response.json({ router: this.account, chainId, computeContract, now });
    }
    if (pathname === routerPaths.offers) return Response.json({ offers: this.#offers() });
    const body = (await request.json()) as Record<string, unknown>;
    if (pathname === routerPaths.delegations) {
      return Response.json({ delegationHash: zeroBytes32, allowance: "1000000", deposit: "7" });
    }
    if (pathname === routerPaths.closes) {
      this.closes.push(signedFromJson(closeType, body).message);
      return Response.json({});
    }
    return Response.json(this.#grant(body, now));
  }

  #offers(): unknown[] {
    return this.providers.map((provider) => {
      const offer = provider.offer(model, digest);
      return {
        offer: signedToJson(offerType, offer),
        offerHash: messageHash(this.separator, offerType, offer.message),
        totalWeiPerSecond: offer.message.weiPerSecond.toString(),
        freeSlots: provider.script.slots,
      };
    });
  }

  #grant(body: Record<string, unknown>, now: number): unknown {
    const { wish: given, ...signed } = body;
    const rfc = signedFromJson(rfcType, signed).message;
    const wish = given as RoutingWish | undefined;
    this.rfcs.push({ rfc, wish });
    if (this.refuseWith !== undefined) throw new LakeError(this.refuseWith, "Refused.");
    if (Math.abs(rfc.deadline - now) > 120_000) throw new LakeError("deadline-too-far", "No.");
    if (rfc.model !== model) throw new LakeError("model-unknown", "No such model.");
    const provider = this.providers.find(
      ({ account, isAlive }) =>
        isAlive &&
        wish?.ignore?.includes(account) !== true &&
        wish?.only?.includes(account) !== false,
    );
    if (provider === undefined) {
      throw new LakeError("provider-none", "No Provider offers this model now.", {
        advice: "Try again in a moment.",
      });
    }
    const offer = provider.offer(model, digest);
    const rfcHash = messageHash(this.separator, rfcType, rfc);
    const offerHash = messageHash(this.separator, offerType, offer.message);
    const accept = { rfcHash, offerHash, expiresAt: now + 5_000 };
    const { minSeconds, weiPerSecond } = offer.message;
    const ticket: Ticket = {
      rfcHash,
      offerHash,
      acceptHash: messageHash(this.separator, acceptType, accept),
      whyHash: zeroBytes32,
      sessionKey: rfc.sessionKey,
      provider: provider.account,
      router: this.account,
      epoch: 1,
      manifestDigest: digest,
      payees: [{ account: provider.account, kind: 0, weiPerSecond }],
      reservedAllowance: 10n ** 12n,
      reservedDeposit: 0n,
      minSeconds,
      maxSeconds: Math.min(this.maxSeconds, rfc.maxSeconds),
      tickSeconds: 2,
      connectBy: now + 10_000,
      openedAt: now,
    };
    const acceptSigned = signMessage(this.separator, acceptType, accept, provider.signer);
    return {
      sessionId: messageHash(this.separator, ticketType, ticket),
      ticket: signedToJson(
        ticketType,
        signMessage(this.separator, ticketType, ticket, this.#signer),
      ),
      offer: signedToJson(offerType, offer),
      accept: signedToJson(acceptType, acceptSigned),
      why: { rfcHash, considered: [] },
    };
  }
}
