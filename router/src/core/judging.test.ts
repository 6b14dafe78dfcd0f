import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Address, Fault } from "@lake-travis/protocol";
import { brokenInvariants } from "../test-support/invariants.ts";
import { bytes32Of, CoreWorld, type OpenedSession } from "../test-support/core-world.ts";
import type { JudgedVerdict } from "./state.ts";
import { balancesUpTo } from "./settling.ts";

function against(
  session: OpenedSession,
  verdict: "fail" | "review",
  fault: Fault = "provider",
): JudgedVerdict {
  return { sessionId: session.id, verdict, fault, score: 900, reasons: ["padded-time"] };
}

function creditOf(world: CoreWorld, account: Address): bigint {
  return balancesUpTo(world.state, world.state.openEpoch).credits.get(account) ?? 0n;
}

/** A world with a deposit and no allowance, in which one Session of 5 s was served. */
function served(): { world: CoreWorld; session: OpenedSession; provider: Address } {
  const world = new CoreWorld({ budget: 0n, users: 2, providers: 2 });
  const owner = world.user(0);
  world.mine({ type: "deposit-changed", number: 0n, owner, balance: 10n ** 6n });
  const session = world.serve(0, 5);
  return { world, session, provider: session.ticket.provider };
}

function nextEpoch(world: CoreWorld): void {
  world.pass(20_000, 0n);
}

describe("a verdict", () => {
  it("of a Provider's fault is neither charged nor credited, and refunded an epoch later", () => {
    const { world, session, provider } = served();
    assert.equal(creditOf(world, provider), 4_950n);
    nextEpoch(world);
    world.judge([against(session, "fail")]);
    assert.equal(creditOf(world, provider), 0n);
    assert.equal(balancesUpTo(world.state, 1).totals.debits, 0n);
    assert.equal(world.state.deposits[0]?.debited, 5_500n);
    nextEpoch(world);
    world.judge();
    assert.equal(creditOf(world, provider), 0n);
    assert.equal(world.state.deposits[0]?.debited, 0n);
    assert.equal(world.state.users.get(world.user(0))?.debited, 0n);
    const outcomes = world.state.ledgers.get(1)?.outcomes.map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ["upheld"]);
    assert.deepEqual(brokenInvariants(world.state), []);
  });

  it("of a User's fault is charged as signed", () => {
    const { world, session, provider } = served();
    nextEpoch(world);
    world.judge([against(session, "fail", "user")]);
    assert.equal(creditOf(world, provider), 4_950n);
    assert.equal(world.state.held.size, 0);
    assert.equal(world.state.conducts.get(world.user(0))?.findings.length, 1);
  });

  it("of review holds the credit one epoch, and pays unless it fails then", () => {
    const { world, session, provider } = served();
    nextEpoch(world);
    world.judge([against(session, "review")]);
    assert.equal(creditOf(world, provider), 0n);
    nextEpoch(world);
    world.judge();
    assert.equal(creditOf(world, provider), 4_950n);
    assert.equal(world.state.ledgers.get(1)?.debits.get(0), 5_500n);
    const other = served();
    nextEpoch(other.world);
    other.world.judge([against(other.session, "review")]);
    nextEpoch(other.world);
    other.world.judge([against(other.session, "fail")]);
    assert.equal(creditOf(other.world, other.provider), 0n);
    assert.equal(other.world.state.deposits[0]?.debited, 0n);
  });

  it("waits with allowance credits for an epoch whose budget holds them", () => {
    // The Session takes all that the budget of its epoch has, since its User holds all MOR.
    const world = new CoreWorld({ budget: 5_500n });
    const session = world.serve(0, 5);
    world.pass(20_000, 5_500n);
    world.judge([against(session, "review")]);
    const { provider } = session.ticket;
    world.serve(0, 5);
    world.pass(20_000, 5_500n);
    world.judge();
    assert.equal(world.state.held.size, 1);
    world.pass(20_000, 5_500n);
    world.judge();
    assert.equal(world.state.held.size, 0);
    assert.equal(creditOf(world, provider), 9_900n);
    assert.ok((world.state.ledgers.get(2)?.allowanceCredits ?? 0n) <= 5_500n);
  });

  it("is told to its party with its reasons, and falls by the other party's signature", () => {
    const { world, session, provider } = served();
    nextEpoch(world);
    world.judge([against(session, "fail")]);
    const [finding] = world.state.conducts.get(provider)?.findings ?? [];
    assert.deepEqual([finding?.reasons, finding?.outcome], [["padded-time"], "held"]);
    const own = world.close(session, { party: "provider", reason: "finished" }, bytes32Of(1));
    const show = (close: typeof own, account = provider): string => {
      const evidence = { sessionId: session.id, account, signer: account, close };
      const [refused] = world.submit({ type: "evidence-received", evidence, at: world.now });
      return refused?.type === "refused" ? refused.refusal.code : "taken";
    };
    assert.equal(show(own), "message-invalid");
    const good = world.close(session, { party: "user", reason: "finished" }, bytes32Of(1));
    assert.equal(show(good, world.user(1)), "content-missing");
    assert.equal(show(good), "taken");
    nextEpoch(world);
    world.judge();
    assert.equal(creditOf(world, provider), 4_950n);
    assert.equal(world.state.conducts.get(provider)?.findings[0]?.outcome, "cleared");
    assert.equal(world.state.ledgers.get(1)?.outcomes[0]?.byEvidence, true);
  });
});

describe("repeated faults", () => {
  it("lower the rank, then suspend Offers, with a way back", () => {
    const world = new CoreWorld({ users: 2, providers: 2, budget: 10n ** 12n });
    world.offer(1, { weiPerSecond: 1_001n });
    const sessions = [1, 1, 1, 1].map((seconds) => world.serve(0, seconds));
    const provider = world.provider(0);
    assert.ok(sessions.every(({ ticket }) => ticket.provider === provider));
    world.pass(20_000);
    const effects = world.judge(sessions.map((session) => against(session, "fail")));
    assert.ok(effects.some((effect) => effect.type === "party-suspended"));
    assert.equal(world.state.standings.size, 1);
    assert.equal(world.open(0).ticket.provider, world.provider(1));
    const [refused] = world.offer(0);
    assert.equal(refused?.type === "refused" && refused.refusal.code, "party-suspended");
    world.pass(20_000);
    assert.equal(world.offer(0).length, 0);
    // Nobody is condemned for ever: two epochs on the Provider is new, and cheapest again.
    world.pass(40_000);
    world.offer(0, { weiPerSecond: 900n });
    assert.equal(world.open(0).ticket.provider, provider);
  });

  it("suspend a User's RFCs, and evidence lifts that", () => {
    const world = new CoreWorld({ users: 1, budget: 10n ** 12n });
    const sessions = [1, 1, 1].map((seconds) => world.serve(0, seconds));
    world.pass(20_000);
    world.judge(sessions.map((session) => against(session, "fail", "user")));
    const [refused] = world.submit(world.rfc(0));
    assert.equal(refused?.type === "refused" && refused.refusal.code, "party-suspended");
    const [session] = sessions as [OpenedSession];
    const how = { party: "provider", reason: "finished" } as const;
    const close = world.close(session, how, bytes32Of(1));
    const account = world.user(0);
    const evidence = { sessionId: session.id, account, signer: account, close };
    world.submit({ type: "evidence-received", evidence, at: world.now });
    assert.equal(world.submit(world.rfc(0))[0]?.type, "provider-asked");
  });

  it("suspend nobody for a few in many", () => {
    const world = new CoreWorld({ users: 1, budget: 10n ** 12n, slots: 40 });
    const sessions = Array.from({ length: 40 }, () => world.serve(0, 0));
    world.pass(20_000);
    world.judge(sessions.slice(0, 3).map((session) => against(session, "fail")));
    assert.equal(world.state.conducts.get(world.provider(0))?.suspendedUntil, 0);
  });
});
