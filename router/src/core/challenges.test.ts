import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytes32Of, CoreWorld, type OpenedSession } from "../test-support/core-world.ts";

type Asked = Extract<CoreWorld["effects"][number], { type: "challenge-asked" }>;

/** One open Session at each of some Providers, right after a round was asked. */
function askedRound(providers: number): {
  world: CoreWorld;
  sessions: OpenedSession[];
  asked: Asked[];
} {
  const world = new CoreWorld({ providers, slots: 1 });
  const sessions: OpenedSession[] = [];
  for (let index = 0; index < providers; index += 1) {
    const session = world.open(0);
    world.beat(session, { connected: true, tick: { seconds: 30 } });
    sessions.push(session);
  }
  const asked = (): Asked[] => world.effects.filter((each) => each.type === "challenge-asked");
  for (let turn = 0; turn < 16 && asked().length === 0; turn += 1) world.pass(1_000);
  return { world, sessions, asked: asked() };
}

function answer(
  { world, sessions, asked }: ReturnType<typeof askedRound>,
  digest: number,
  index = 0,
): void {
  const session = sessions[index] as OpenedSession;
  const question = asked.find(({ sessionId }) => sessionId === session.id) as Asked;
  const { sessionId, nonce } = question;
  world.beat(session, { answers: [{ sessionId, nonce, digest: bytes32Of(digest) }] });
}

function counts({ world, sessions }: ReturnType<typeof askedRound>): string {
  return sessions
    .map(({ id }) => world.state.sessions.get(id))
    .map((session) => `${session?.challengesPassed ?? 0}/${session?.challengesAsked ?? 0}`)
    .join(" ");
}

describe("challenges", () => {
  it("ask one Session of each Provider the same nonce, at a moment of the epoch's seed", () => {
    const round = askedRound(3);
    assert.equal(round.asked.length, 3);
    assert.equal(new Set(round.asked.map(({ nonce }) => nonce)).size, 1);
    assert.deepEqual(askedRound(3).asked, round.asked);
    const questions = round.world.state.providers.get(round.world.provider(1))?.questions;
    assert.equal(questions?.[0]?.nonce, round.asked[0]?.nonce);
  });

  it("count as passed what is answered in time, and into the Record", () => {
    const round = askedRound(1);
    answer(round, 7);
    round.world.pass(6_000);
    assert.equal(counts(round), "1/1");
    const session = round.sessions[0] as OpenedSession;
    const close = { party: "user", reason: "finished" } as const;
    round.world.beat(session, { tick: { seconds: 30 }, close });
    const { record } = round.world.state.ledgers.get(0)?.records[0] ?? {};
    assert.deepEqual([record?.challengesAsked, record?.challengesPassed], [1, 1]);
  });

  it("count as failed what is not answered, or too late", () => {
    const silent = askedRound(1);
    silent.world.pass(6_000);
    assert.equal(counts(silent), "0/1");
    const late = askedRound(1);
    late.world.now += 5_001;
    answer(late, 7);
    late.world.pass(2_000);
    assert.equal(counts(late), "0/1");
  });

  it("go by agreement: the majority passes, and without one nobody fails", () => {
    const round = askedRound(3);
    answer(round, 7, 0);
    answer(round, 8, 1);
    answer(round, 7, 2);
    round.world.pass(6_000);
    assert.equal(counts(round), "1/1 0/1 1/1");
    const even = askedRound(2);
    answer(even, 7, 0);
    answer(even, 8, 1);
    even.world.pass(6_000);
    assert.equal(counts(even), "0/0 0/0");
  });

  it("hold nothing against anybody that the Router was away for", () => {
    const round = askedRound(1);
    round.world.submit({ type: "router-restarted", at: round.world.now + 1_000 });
    round.world.pass(6_000);
    assert.equal(counts(round), "0/0");
  });

  it("stop where no Session is left, and begin again with the next", () => {
    const round = askedRound(1);
    const close = { party: "user", reason: "finished" } as const;
    round.world.beat(round.sessions[0] as OpenedSession, { tick: { seconds: 30 }, close });
    round.world.pass(40_000);
    assert.equal(round.world.state.rounds.size, 0);
    const session = round.world.open(0);
    round.world.beat(session, { connected: true, tick: { seconds: 30 } });
    assert.equal(round.world.state.rounds.size, 1);
  });
});
