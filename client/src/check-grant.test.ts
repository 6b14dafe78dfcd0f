import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Accept,
  acceptType,
  type Address,
  domainSeparatorOf,
  type Hex,
  LakeError,
  messageHash,
  type NodeDirectory,
  type Offer,
  offerType,
  type RequestForCompute,
  rfcType,
  type Signer,
  signMessage,
  type Ticket,
  type TicketGrant,
  ticketType,
  zeroBytes32,
} from "@lake-travis/protocol";
import { generateKey, nativeSignatures, signerFromKey } from "@lake-travis/platform";
import { checkGrant, checkSuccessor } from "./check-grant.ts";

const domainSeparator = domainSeparatorOf({
  chainId: 31337,
  computeContract: `0x${"cc".repeat(20)}`,
});
const routerKey = signerFromKey(generateKey());
const providerKey = signerFromKey(generateKey());
const strangerKey = signerFromKey(generateKey());
const account = (digit: string): Address => `0x${digit.repeat(40)}`;
const keys = new Map<Address, Address>([
  [account("a"), routerKey.address],
  [account("b"), providerKey.address],
]);
const directory: NodeDirectory = { signingKeyOf: async (node) => keys.get(node) };
const checking = { domainSeparator, signatures: nativeSignatures, directory };
const digest: Hex = `0x${"d1".repeat(32)}`;

const rfc: RequestForCompute = {
  router: account("a"),
  delegationHash: digest,
  sessionKey: account("5"),
  model: "lake/travis-tiny:latest",
  manifestDigest: zeroBytes32,
  maxWeiPerSecond: 100n,
  minMilliTps: 0,
  maxLatencyMs: 0,
  maxSeconds: 60,
  nonce: digest,
  deadline: 1,
  wishHash: zeroBytes32,
};

const offer: Offer = {
  provider: account("b"),
  model: rfc.model,
  manifestDigest: digest,
  weiPerSecond: 60n,
  minSeconds: 1,
  slots: 4,
  milliTps: 1000,
  engineClass: "llama.cpp",
  hardwareClass: "cpu",
  endpoint: "https://127.0.0.1:1",
  tlsFingerprint: digest,
  validUntil: 1,
  sequence: 1,
};

interface Changes {
  readonly ticket?: Partial<Ticket>;
  readonly offer?: Partial<Offer>;
  readonly accept?: Partial<Accept>;
  readonly ticketSigner?: Signer;
  readonly offerSigner?: Signer;
  readonly acceptSigner?: Signer;
  readonly sessionId?: Hex;
}

function grantWith(changes: Changes = {}): TicketGrant {
  const rfcHash = messageHash(domainSeparator, rfcType, rfc);
  const offered = { ...offer, ...changes.offer };
  const offerHash = messageHash(domainSeparator, offerType, offered);
  const accept = { rfcHash, offerHash, expiresAt: 1, ...changes.accept };
  const ticket: Ticket = {
    rfcHash,
    offerHash,
    acceptHash: messageHash(domainSeparator, acceptType, accept),
    whyHash: digest,
    sessionKey: rfc.sessionKey,
    provider: offered.provider,
    router: rfc.router,
    epoch: 1,
    manifestDigest: digest,
    payees: [
      { account: offered.provider, kind: 0, weiPerSecond: offered.weiPerSecond },
      { account: account("c"), kind: 1, weiPerSecond: 40n },
    ],
    reservedAllowance: 6000n,
    reservedDeposit: 0n,
    minSeconds: 1,
    maxSeconds: 60,
    tickSeconds: 2,
    connectBy: 1,
    openedAt: 1,
    ...changes.ticket,
  };
  const sign = signMessage;
  return {
    sessionId: changes.sessionId ?? messageHash(domainSeparator, ticketType, ticket),
    ticket: sign(domainSeparator, ticketType, ticket, changes.ticketSigner ?? routerKey),
    offer: sign(domainSeparator, offerType, offered, changes.offerSigner ?? providerKey),
    accept: sign(domainSeparator, acceptType, accept, changes.acceptSigner ?? providerKey),
    why: { rfcHash, considered: [] },
  };
}

async function refuses(changes: Changes, code: string): Promise<void> {
  await assert.rejects(
    checkGrant(grantWith(changes), rfc, checking),
    (error) => error instanceof LakeError && error.code === code,
  );
}

describe("checkGrant", () => {
  it("accepts what was asked for and signed by all", async () => {
    await checkGrant(grantWith(), rfc, checking);
  });

  it("refuses a grant signed by somebody else", async () => {
    await refuses({ ticketSigner: strangerKey }, "signer-wrong");
    await refuses({ offerSigner: strangerKey }, "signer-wrong");
    await refuses({ acceptSigner: strangerKey }, "signer-wrong");
    await refuses({ ticketSigner: providerKey }, "signer-wrong");
  });

  it("refuses a grant that does not fit the wish", async () => {
    const misfits: Changes[] = [
      { sessionId: digest },
      { ticket: { rfcHash: digest } },
      { ticket: { offerHash: digest } },
      { ticket: { acceptHash: digest } },
      { ticket: { router: account("f") } },
      { ticket: { sessionKey: account("f") } },
      { ticket: { manifestDigest: zeroBytes32 } },
      { ticket: { provider: account("f") } },
      { ticket: { maxSeconds: 61 } },
      { ticket: { payees: [{ account: account("b"), kind: 0, weiPerSecond: 61n }] } },
      { ticket: { payees: [{ account: account("f"), kind: 0, weiPerSecond: 60n }] } },
      { ticket: { payees: [] } },
      { offer: { weiPerSecond: 61n } },
      { offer: { model: "other/model:latest" } },
      { accept: { rfcHash: digest } },
      { accept: { offerHash: digest } },
    ];
    for (const misfit of misfits) await refuses(misfit, "message-invalid");
  });
});

describe("checkSuccessor", () => {
  const previous = grantWith().ticket.message;
  const next: Ticket = { ...previous, epoch: 2, minSeconds: 0, openedAt: 2 };
  const sign = (ticket: Ticket, signer = routerKey) =>
    signMessage(domainSeparator, ticketType, ticket, signer);

  it("returns the id of a Ticket that continues", async () => {
    const id = await checkSuccessor(sign(next), previous, checking);
    assert.equal(id, messageHash(domainSeparator, ticketType, next));
  });

  it("refuses a dearer, a foreign, or a repeated one", async () => {
    const dearer = previous.payees.map((payee) => ({ ...payee, weiPerSecond: 99n }));
    const bad = [
      { ...next, payees: dearer },
      { ...next, sessionKey: account("f") },
      { ...next, provider: account("f") },
      { ...next, epoch: 1 },
      { ...next, minSeconds: 1 },
    ];
    for (const ticket of bad) {
      await assert.rejects(checkSuccessor(sign(ticket), previous, checking), LakeError);
    }
    await assert.rejects(checkSuccessor(sign(next, strangerKey), previous, checking), LakeError);
  });
});
