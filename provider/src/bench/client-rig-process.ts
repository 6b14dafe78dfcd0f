/*
 * The other side of a User's node for the client's benches, in one process: a real Provider over
 * TLS with its journal, an engine that is a server elsewhere, and a Router that grants whatever it
 * is asked for after the Provider's Accept, with real signatures and no state of its own.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  acceptType,
  type Address,
  domainOf,
  domainSeparatorOf,
  keccak256Hex,
  LakeError,
  messageHash,
  offerType,
  providerPaths,
  rfcType,
  routerPaths,
  signedFromJson,
  signedToJson,
  ticketType,
} from "@lake-travis/protocol";
import {
  createHttpClient,
  createLogger,
  errorResponse,
  generateKey,
  loadOrCreateKey,
  serveHttp,
  signerFromKey,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import { OpenAiEngine } from "../engine/openai-engine.ts";
import { ProviderNode } from "../provider-node.ts";
import { simulatedDeployment, SimulatedRouter } from "../test-support/simulated-router.ts";

/** What the process is started with, as its first argument in JSON. */
interface RigOrder {
  readonly engineUrl: string;
  readonly engineKey: string;
  readonly model: string;
  readonly slots: number;
}

const order = JSON.parse(process.argv[2] ?? "{}") as RigOrder;
const dataDir = mkdtempSync(join(tmpdir(), "lake-bench-"));
const deployment = simulatedDeployment();
const separator = domainSeparatorOf(domainOf(deployment));
const address = (text: string): Address => keccak256Hex(Buffer.from(text)).slice(0, 42) as Address;
const account = address("provider");
const router = new SimulatedRouter(address("router"), signerFromKey(generateKey()), deployment);
await router.start();
const signingKey = signerFromKey(loadOrCreateKey(join(dataDir, "signing.key"))).address;
const keys = new Map([
  [account, signingKey],
  [router.account, router.signer.address],
]);
const engine = new OpenAiEngine(
  { baseUrl: order.engineUrl, slots: order.slots, apiKey: order.engineKey },
  systemClock,
);
const node = new ProviderNode({
  deployment,
  dataDir,
  account,
  routerUrl: router.url,
  host: "127.0.0.1",
  port: 0,
  models: [
    {
      handle: order.model,
      manifestDigest: keccak256Hex(Buffer.from("manifest")),
      weiPerSecond: 1_000n,
      minSeconds: 1,
      engine,
    },
  ],
  directory: { signingKeyOf: (of) => Promise.resolve(keys.get(of)) },
  clock: systemClock,
  random: systemRandom,
  logger: createLogger({ name: "provider", level: "silent" }),
});
await node.start();

const fetch = async (request: Request): Promise<Response> => {
  try {
    return await answer(request);
  } catch (error) {
    return errorResponse(error);
  }
};
const server = await serveHttp({ fetch, host: "127.0.0.1", port: 0 });
process.on("disconnect", () => process.exit(0));
process.send?.({ url: `http://127.0.0.1:${server.port}`, deployment, keys: [...keys] });

const [offerHash, offer] = [...router.offers].at(-1) ?? [];
const http = createHttpClient({
  unreachable: "provider-unreachable",
  ...(offer === undefined ? {} : { pinnedFingerprint: offer.message.tlsFingerprint }),
});

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === routerPaths.status) {
    const { chainId, computeContract } = deployment;
    return Response.json({ router: router.account, chainId, computeContract, now: Date.now() });
  }
  if (pathname === routerPaths.offers) return Response.json({ offers: listed() });
  if (pathname === routerPaths.delegations) {
    return Response.json({ allowance: "1000000000", deposit: "0" });
  }
  if (pathname === routerPaths.rfcs) return Response.json(await grant(await request.json()));
  return Response.json({});
}

function listed(): unknown[] {
  return [...router.offers].slice(-1).map(([hash, { message, signature }]) => ({
    offer: signedToJson(offerType, { message, signature }),
    offerHash: hash,
    totalWeiPerSecond: message.weiPerSecond.toString(),
    freeSlots: message.slots,
  }));
}

async function grant(body: unknown): Promise<unknown> {
  const rfc = signedFromJson(rfcType, body);
  if (offer === undefined || offerHash === undefined) {
    throw new LakeError("provider-none", "The Provider has offered nothing.");
  }
  const asked = { rfc: signedToJson(rfcType, rfc), offerHash };
  const path = offer.message.endpoint + providerPaths.accepts;
  const accept = signedFromJson(acceptType, await http.json("POST", path, asked));
  const grants = { rfc: rfc.message, accept: accept, offerHash };
  const ticket = router.ticketFor(grants);
  return {
    sessionId: messageHash(separator, ticketType, ticket.message),
    ticket: signedToJson(ticketType, ticket),
    offer: signedToJson(offerType, offer),
    accept: signedToJson(acceptType, accept),
    why: { rfcHash: ticket.message.rfcHash, considered: [] },
  };
}
