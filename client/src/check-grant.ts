import {
  acceptType,
  type Address,
  type Hex,
  LakeError,
  messageHash,
  type NodeDirectory,
  type Offer,
  offerType,
  pricePerSecond,
  type RequestForCompute,
  requireSigner,
  rfcType,
  type RoutingWish,
  type Signatures,
  type Signed,
  type Ticket,
  type TicketGrant,
  ticketType,
} from "@lake-travis/protocol";

/** What a User's client checks messages with. */
export interface Checking {
  readonly domainSeparator: Uint8Array;
  readonly signatures: Signatures;
  readonly directory: NodeDirectory;
}

/**
 * Checks that a grant is what the User asked for and that each party signed its part: the Router
 * the Ticket, the Provider the Offer and the Accept. The Router need not be trusted for any of it.
 * Throws `message-invalid` naming what does not fit, `signature-invalid` or `signer-wrong`.
 */
export async function checkGrant(
  grant: TicketGrant,
  rfc: RequestForCompute,
  checking: Checking,
  routing: RoutingWish = {},
): Promise<void> {
  const { domainSeparator } = checking;
  const ticket = grant.ticket.message;
  const offer = grant.offer.message;
  fits(grant.sessionId === messageHash(domainSeparator, ticketType, ticket), "session id");
  fits(ticket.rfcHash === messageHash(domainSeparator, rfcType, rfc), "RFC");
  fits(ticket.offerHash === messageHash(domainSeparator, offerType, offer), "Offer");
  const acceptHash = messageHash(domainSeparator, acceptType, grant.accept.message);
  fits(ticket.acceptHash === acceptHash, "Accept");
  fits(grant.accept.message.rfcHash === ticket.rfcHash, "Accept's RFC");
  fits(grant.accept.message.offerHash === ticket.offerHash, "Accept's Offer");
  fits(ticket.router === rfc.router && ticket.sessionKey === rfc.sessionKey, "key");
  fits(offer.model === rfc.model && offer.manifestDigest === ticket.manifestDigest, "model");
  checkPrice(ticket, offer, rfc.maxWeiPerSecond);
  fits(ticket.maxSeconds <= rfc.maxSeconds, "time");
  fits(routing.only?.includes(offer.provider) !== false, "Provider, which is not among 'only',");
  fits(routing.ignore?.includes(offer.provider) !== true, "Provider, which is to be ignored,");
  await checkTicketSigner(grant.ticket, checking);
  const signingKey = await keyOf(offer.provider, checking);
  const by = { signatures: checking.signatures, expected: signingKey };
  requireSigner(domainSeparator, offerType, grant.offer, by);
  requireSigner(domainSeparator, acceptType, grant.accept, by);
}

/** Checks a Ticket that continues another one: same key, Provider and price; returns its hash. */
export async function checkSuccessor(
  successor: Signed<Ticket>,
  previous: Ticket,
  checking: Checking,
): Promise<Hex> {
  const next = successor.message;
  fits(next.sessionKey === previous.sessionKey && next.router === previous.router, "key");
  fits(next.provider === previous.provider && next.offerHash === previous.offerHash, "Provider");
  fits(next.epoch > previous.epoch && next.minSeconds === 0, "epoch");
  fits(pricePerSecond(next.payees) <= pricePerSecond(previous.payees), "price");
  await checkTicketSigner(successor, checking);
  return messageHash(checking.domainSeparator, ticketType, next);
}

function checkPrice(ticket: Ticket, offer: Offer, maxWeiPerSecond: bigint): void {
  const [first] = ticket.payees;
  fits(first?.account === offer.provider && ticket.provider === offer.provider, "Provider");
  fits(first?.weiPerSecond === offer.weiPerSecond, "Provider's price");
  fits(pricePerSecond(ticket.payees) <= maxWeiPerSecond, "price cap");
}

async function checkTicketSigner(ticket: Signed<Ticket>, checking: Checking): Promise<void> {
  requireSigner(checking.domainSeparator, ticketType, ticket, {
    signatures: checking.signatures,
    expected: await keyOf(ticket.message.router, checking),
  });
}

async function keyOf(account: Address, checking: Checking): Promise<Address> {
  const key = await checking.directory.signingKeyOf(account);
  if (key !== undefined) return key;
  throw new LakeError("signer-wrong", `No node is registered under ${account}.`);
}

function fits(condition: boolean, what: string): void {
  if (condition) return;
  throw new LakeError("message-invalid", `The Ticket's ${what} does not fit what was asked for.`, {
    advice: "The Router misbehaves; use another one with --router.",
  });
}
