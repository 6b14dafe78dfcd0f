import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  acceptType,
  type AcceptAnswers,
  type ErrorBody,
  heartbeatDigest,
  heartbeatSignatureHeader,
  limits as protocolLimits,
  providerPaths,
  rfcType,
  signedFromJson,
  signedToJson,
} from "@lake-travis/protocol";
import { limits } from "../limits.ts";
import { createRig, type ProviderRig } from "../test-support/provider-rig.ts";
import { randomHex } from "../test-support/simulated-router.ts";

async function rigFor(context: TestContext, slots: number): Promise<ProviderRig> {
  const rig = await createRig({ slots });
  context.after(() => rig.dispose());
  return rig;
}

/** Sends a body as the Router would, signed, or as anybody. */
async function ask(rig: ProviderRig, body: unknown, fromRouter = true): Promise<Response> {
  const bytes = Buffer.from(JSON.stringify(body));
  const signature = rig.router.signer.sign(heartbeatDigest(rig.router.separator, bytes));
  const headers: Record<string, string> = fromRouter
    ? { [heartbeatSignatureHeader]: signature }
    : {};
  return rig.user().send(providerPaths.accepts, { method: "POST", body: bytes, headers });
}

function codeIn(answer: unknown): string {
  const { error } = answer as Partial<ErrorBody>;
  if (error !== undefined) return error.code;
  assert.equal(signedFromJson(acceptType, answer).message.rfcHash.length, 66);
  return "ok";
}

async function codesOf(response: Response): Promise<string[]> {
  assert.equal(response.status, 200);
  return ((await response.json()) as AcceptAnswers).answers.map(codeIn);
}

test("several RFCs in one body get an answer each, in their order", async (context) => {
  const rig = await rigFor(context, 3);
  const one = (offerHash: unknown = rig.offerHash, changes = {}): object => {
    return { rfc: signedToJson(rfcType, rig.user().rfc(rig.offerHash, changes)), offerHash };
  };
  const requests = [
    one(),
    one(randomHex()),
    null,
    one(rig.offerHash, { maxWeiPerSecond: 999n }),
    one(),
    { rfc: {}, offerHash: rig.offerHash },
    one(),
    one(),
  ];
  assert.deepEqual(await codesOf(await ask(rig, { requests })), [
    "ok",
    "sequence-stale",
    "body-invalid",
    "provider-refused",
    "ok",
    "message-invalid",
    "ok",
    "slots-full",
  ]);
  const again = await codesOf(await ask(rig, { requests: [requests[0]] }));
  assert.deepEqual(again, ["ok"], "asked twice it answers the same");
});

test("a body of no RFCs, or of too many, is refused as a whole", async (context) => {
  const rig = await rigFor(context, 3);
  const many = Array.from({ length: protocolLimits.acceptBatchMax + 1 }, () => null);
  for (const requests of [[], many, "x", 1, null]) {
    const response = await ask(rig, { requests });
    assert.equal(codeIn(await response.json()), "message-invalid");
  }
});

test("each RFC of a stranger counts against the rate, and none of a Router's", async (context) => {
  const rig = await rigFor(context, 3);
  const requests = Array.from({ length: 60 }, () => null);
  const rounds = Math.ceil(limits.acceptsPerSecondMax / requests.length);
  for (let round = 0; round <= rounds; round += 1) {
    assert.equal((await ask(rig, { requests })).status, 200);
  }
  const statuses = [];
  for (let round = 0; round <= rounds; round += 1) {
    statuses.push((await ask(rig, { requests }, false)).status);
  }
  assert.equal(statuses.at(0), 200);
  assert.equal(statuses.at(-1), 429);
});
