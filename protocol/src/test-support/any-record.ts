import fc from "fast-check";
import { type Hex, toHex } from "../hex.ts";
import { closeReasons, parties } from "../messages.ts";
import type { SessionRecord } from "../record.ts";

const bytes = (length: number): fc.Arbitrary<Hex> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map(toHex);
const wei = fc.bigInt({ min: 0n, max: 10n ** 26n - 1n }).map(String);
const signature = fc.option(bytes(65), { nil: null });

/** Any Record that the schema allows. */
export const anyRecord: fc.Arbitrary<SessionRecord> = fc.record({
  sessionId: bytes(32),
  epoch: fc.nat(),
  model: fc.constantFrom("alice/llama:8b", "b.o_b/x-1:latest", "a/b:c"),
  manifestDigest: bytes(32),
  provider: bytes(20),
  builder: fc.option(bytes(20), { nil: null }),
  payees: fc.array(fc.record({ account: bytes(20), kind: fc.nat({ max: 2 }), weiPerSecond: wei }), {
    maxLength: 4,
  }),
  router: bytes(20),
  user: bytes(32),
  openedAt: fc.nat({ max: 30_000_000 }).map((minute) => minute * 60_000),
  seconds: fc.nat({ max: 86_400 }),
  tokens: fc.nat({ max: 864_000_000_000 }),
  requestsAnswered: fc.nat(),
  requestsFailed: fc.nat(),
  ttftMs: fc.nat({ max: 86_400_000 }),
  milliTps: fc.nat({ max: 10_000_000_000 }),
  offeredMilliTps: fc.nat({ max: 10_000_000_000 }),
  weiPerSecond: wei,
  builderWeiPerSecond: wei,
  fundedBy: fc.constantFrom("allowance" as const, "deposit" as const, "both" as const),
  endedBy: fc.constantFrom(...parties),
  endReason: fc.constantFrom(...closeReasons),
  hardwareClass: fc.constantFrom("cpu-x64-2", "gpu-nvidia-h100-80gb-hbm3"),
  challengesAsked: fc.nat({ max: 9 }).map((count) => count + 9),
  challengesPassed: fc.nat({ max: 9 }),
  signatures: fc.record({
    user: signature,
    provider: signature,
    tickSeconds: fc.nat({ max: 86_400 }),
    activeMs: fc.nat(),
  }),
});
