import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { domainOf, domainSeparatorOf, heartbeatDigest, type Hex } from "@lake-travis/protocol";
import type { Engine } from "@lake-travis/protocol/inference";
import {
  createLogger,
  generateKey,
  nativeSignatures,
  signerFromKey,
  systemRandom,
} from "@lake-travis/platform";
import { createSessionBook, type SessionBook } from "../core/session-book.ts";
import { createSlotQueue } from "../core/slot-queue.ts";
import { createSpeedWindow } from "../core/speed-window.ts";
import { createProviderApp } from "../http/provider-app.ts";
import { openAppendFile } from "../journal/append-file.ts";
import { restoreBook } from "../journal/book-journal.ts";
import type { ServedModel } from "../served-model.ts";
import { SessionKeeper } from "../session-keeper.ts";
import { ManualClock } from "./manual-clock.ts";
import { SimulatedEngine, type SimulatedEngineOptions } from "./simulated-engine.ts";
import { randomHex, simulatedDeployment, SimulatedRouter } from "./simulated-router.ts";
import { type Send, SimulatedUser } from "./simulated-user.ts";

/** A Provider without sockets: the real book, journal and app on a manual clock. */
export interface ProviderRig {
  readonly book: SessionBook;
  readonly keeper: SessionKeeper;
  readonly router: SimulatedRouter;
  readonly clock: ManualClock;
  readonly engine: Engine;
  readonly offerHash: Hex;
  readonly send: Send;
  readonly fetch: (request: Request) => Response | Promise<Response>;
  user(): SimulatedUser;
  dispose(): Promise<void>;
}

/** The model of every {@link ProviderRig}. */
export const rigModel = "lake/travis-tiny:latest";

/** Builds a rig; `minSeconds` and price are fixed, the engine is as told. */
export async function createRig(
  options: SimulatedEngineOptions & { readonly engine?: Engine } = {},
): Promise<ProviderRig> {
  const dataDir = mkdtempSync(join(tmpdir(), "lake-provider-rig-"));
  const deployment = simulatedDeployment();
  const clock = new ManualClock();
  const router = new SimulatedRouter(randomHex(20), signerFromKey(generateKey()), deployment);
  router.now = () => clock.now();
  const engine = options.engine ?? new SimulatedEngine(options);
  await engine.start();
  const { slots } = engine.description;
  const book = createSessionBook({
    provider: randomHex(20),
    signer: signerFromKey(generateKey()),
    domainSeparator: domainSeparatorOf(domainOf(deployment)),
    schedule: deployment.schedule,
    signatures: nativeSignatures,
    routerKeyOf: (account) => (account === router.account ? router.signer.address : undefined),
  });
  const { file: journal, entries } = await openAppendFile(join(dataDir, "sessions.jsonl"));
  const restored = restoreBook(book, entries);
  const logger = createLogger({ name: "rig", level: "silent" });
  const onNews = (): void => undefined;
  const random = systemRandom;
  const engineOf = (): Engine => engine;
  const parts = { book, journal, restored, clock, random, logger, onNews, engineOf };
  const keeper = new SessionKeeper(parts);
  const queue = createSlotQueue({ slots, lines: () => keeper.lineIdsOf(rigModel) });
  const served = { handle: rigModel, engine, queue, speed: createSpeedWindow() };
  const models = new Map<string, ServedModel>([[rigModel, { ...served, createdAtSeconds: 0 }]]);
  const isRouterSignature = signedBy(router);
  const app = createProviderApp({ keeper, clock, logger, isRouterSignature, models });
  const own = await keeper.offer({
    provider: book.identity.provider,
    model: rigModel,
    manifestDigest: randomHex(),
    weiPerSecond: 1_000n,
    minSeconds: 1,
    slots,
    milliTps: 5_000,
    engineClass: "simulated",
    hardwareClass: "cpu-simulated",
    endpoint: "https://127.0.0.1:1",
    tlsFingerprint: randomHex(),
    validUntil: clock.now() + 600_000,
    sequence: 1,
  });
  router.offers.set(own.hash, own.signed);
  const send: Send = async (path, init) =>
    app.fetch(new Request(`https://provider.test${path}`, init));
  return {
    book,
    keeper,
    router,
    clock,
    engine,
    offerHash: own.hash,
    send,
    fetch: (request) => app.fetch(request),
    user: () => new SimulatedUser(router, send),
    async dispose() {
      await journal.close();
      await engine.stop();
      rmSync(dataDir, { recursive: true });
    },
  };
}

/** Whether the rig's Router signed a body, as a Provider asks. */
function signedBy({ separator, signer }: SimulatedRouter) {
  return (body: Uint8Array, signature: string): boolean =>
    nativeSignatures.recover(heartbeatDigest(separator, body), signature as Hex) === signer.address;
}
