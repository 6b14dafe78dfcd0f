import fc from "fast-check";
import { settlementOf } from "@lake-travis/protocol";
import type { JudgedVerdict } from "../core/state.ts";
import { epochToJudge, isSettleable } from "../core/judging.ts";
import { balancesUpTo } from "../core/settling.ts";
import { bytes32Of, CoreWorld, type OpenedSession } from "./core-world.ts";

/** One thing that somebody does, in numbers that any sequence can hold. */
export const walkCommand = fc.record({
  verb: fc.constantFrom(
    ...["ask", "ask", "ask", "accept", "miss", "connect", "tick", "tick", "close"],
    ...["pass", "pass", "move", "deposit", "withdraw", "offer", "silence", "revoke", "restart"],
    ...["serve", "serve", "serve", "rest", "judge", "settle"],
    ...["name", "judge", "settle", "spill", "contest", "answer-challenge", "lose"],
  ),
  who: fc.nat({ max: 2 }),
  which: fc.nat({ max: 7 }),
  amount: fc.nat({ max: 40 }),
});
type Command = typeof walkCommand extends fc.Arbitrary<infer T> ? T : never;

/** Carries out random commands in a world of three Users and two Providers. */
export class CoreWalk {
  readonly world = new CoreWorld({ users: 3, providers: 2, slots: 2, budget: 20_000n });
  readonly #asked: Extract<ReturnType<CoreWorld["submit"]>[number], { type: "provider-asked" }>[] =
    [];
  readonly #nonces = [1, 1, 1];

  run({ verb, who, which, amount }: Command): void {
    const { world } = this;
    const session = this.#session(which);
    switch (verb) {
      case "ask":
        this.#note(world.submit(world.rfc(who, { maxSeconds: amount * 3 })));
        break;
      case "accept":
      case "miss":
        this.#answer(verb, which);
        break;
      case "connect":
        if (session !== undefined) this.#note(world.beat(session, { connected: true }));
        break;
      case "tick":
        if (session !== undefined) this.#note(world.beat(session, { tick: this.#tick(amount) }));
        break;
      case "close": {
        const how = { party: who === 0 ? "provider" : "user", reason: "finished" } as const;
        if (session === undefined) break;
        this.#note(world.beat(session, { tick: this.#tick(amount), close: how }));
        break;
      }
      default:
        this.#happen(verb, who, amount);
    }
    // As at the edge, where an epoch's first block and its budget come as one.
    if (world.state.epoch > world.state.openEpoch) world.beginEpoch(20_000n);
  }

  #happen(verb: string, who: number, amount: number): void {
    const { world } = this;
    const before = world.effects.length;
    const provider = world.provider(who % 2);
    const at = world.now;
    if (verb === "pass") world.pass(amount * 300, 20_000n);
    else if (verb === "move") this.#move(who, amount);
    else if (verb === "deposit") this.#deposit(who, amount);
    else if (verb === "withdraw") {
      const number = BigInt(who);
      world.mine({ type: "withdrawal-announced", number, wei: BigInt(amount) * 500n });
    } else if (verb === "offer")
      world.offer(who % 2, { slots: amount % 4, minSeconds: amount % 5 });
    else if (verb === "silence") world.submit({ type: "provider-silent", provider, at });
    else if (verb === "revoke") this.#revoke(who);
    else if (verb === "serve") this.#serve(who, amount);
    else if (verb === "rest") world.pass(20_000, 20_000n);
    else if (verb === "name") this.#name(who, amount);
    else if (verb === "judge") this.#judge(amount);
    else if (verb === "settle") this.#settle();
    else if (verb === "spill") this.#spill(amount);
    else if (verb === "contest") this.#contest(who, amount);
    else if (verb === "answer-challenge") this.#answerChallenge(who, amount);
    else if (verb === "lose") this.#lose(amount);
    else if (verb === "restart") {
      this.#asked.length = 0;
      world.submit({ type: "router-restarted", at });
    }
    this.#note(world.effects.slice(before));
  }

  #move(who: number, amount: number): void {
    const { world } = this;
    const [from, to] = [world.user(who), world.user((who + 1) % 3)];
    const balance = world.state.balances.get(from) ?? 0n;
    const wei = (balance * BigInt(amount)) / 40n;
    if (wei > 0n) world.mine({ type: "mor-transferred", from, to, wei });
  }

  #deposit(who: number, amount: number): void {
    const { world } = this;
    const number = BigInt(world.state.deposits.length);
    const owner = world.user(who);
    world.mine({ type: "deposit-changed", number, owner, balance: BigInt(amount) * 1_000n });
  }

  #revoke(who: number): void {
    const { world } = this;
    const nonce = this.#nonces[who] ?? 1;
    const revocation = { user: world.user(who), nonce };
    world.submit({ type: "revocation-received", revocation, at: world.now });
    this.#nonces[who] = nonce + 1;
    const user = world.state.users.get(world.user(who));
    const committed = (user?.debited ?? 0n) + (user?.depositReserved ?? 0n);
    world.delegate(who, { nonce: nonce + 1, debitCeiling: committed + 20_000n });
  }

  /** A whole Session, unless it is refused. */
  #serve(who: number, amount: number): void {
    const { world } = this;
    const [granted] = world.accept(world.submit(world.rfc(who, { maxSeconds: 1 + amount })));
    if (granted === undefined) return;
    const session = { id: granted.sessionId, ticket: granted.ticket };
    world.beat(session, { connected: true, tick: { seconds: 1 } });
    world.now += 1_000 + amount * 50;
    const close = { party: "user", reason: "finished" } as const;
    world.beat(session, { tick: { seconds: session.ticket.maxSeconds }, close });
  }

  #name(who: number, amount: number): void {
    const { world } = this;
    const named = [world.provider(amount % 2)];
    const wish = [{ only: named }, { ignore: named }, { order: named }][amount % 3];
    world.submit(world.rfc(who, { maxSeconds: amount }, wish));
  }

  #judge(amount: number): void {
    const { world } = this;
    const epoch = epochToJudge(world.state);
    if (epoch === undefined) return;
    const ids = world.state.ledgers.get(epoch)?.records.map(({ record }) => record.sessionId) ?? [];
    const picked = [...ids, ...world.state.held.keys()].filter((_, index) => {
      return (index + amount) % 3 !== 0;
    });
    const faults = ["provider", "user", "provider", "none"] as const;
    const against = picked.map((sessionId, index): JudgedVerdict => {
      const verdict = (index + amount) % 2 === 0 ? "fail" : "review";
      const fault = verdict === "review" ? "provider" : (faults[amount % 3] ?? "none");
      return { sessionId, verdict, fault, score: amount, reasons: [] };
    });
    world.judge(against);
  }

  /** Signs the settlement of all judged epochs, or makes the signed one final. */
  #settle(): void {
    const { world } = this;
    const { state } = world;
    if (state.settling !== null) {
      world.submit({ type: "settlement-matured", hash: state.settling.hash });
      return;
    }
    const epoch = state.openEpoch - 1;
    if (epoch <= state.signedEpoch || !isSettleable(state, epoch)) return;
    const balances = balancesUpTo(state, epoch);
    const zero = bytes32Of(0);
    const settlement = settlementOf({
      ...{ epoch, round: 0, previous: zero, balances, recordRoot: zero, recordCid: zero },
      ...{ sealsHash: zero, rules: zero, baselineHash: zero, debitSecret: zero },
    });
    const hash = bytes32Of(1_000 + epoch);
    const signed = { settlement, hash, signature: zero, recordCidText: null };
    world.submit({ type: "settlement-signed", ...signed });
  }

  #spill(amount: number): void {
    const { world } = this;
    const [epoch, ledger] = [...world.state.ledgers][amount % 2] ?? [];
    if (epoch === undefined || ledger === undefined) return;
    const count = ledger.records.length >> 1;
    world.submit({ type: "records-spilled", epoch, count, bytes: amount });
  }

  #contest(who: number, amount: number): void {
    const { world } = this;
    const provider = world.provider(who % 2);
    const finding = world.state.conducts.get(provider)?.findings[amount % 4];
    if (finding === undefined) return;
    const { sessionId, other } = finding;
    const close = { sessionId, tickHash: bytes32Of(0), party: 0, reason: amount % 3 };
    const received = { close, signer: other };
    const evidence = { sessionId, account: provider, signer: provider, close: received };
    world.submit({ type: "evidence-received", evidence, at: world.now });
  }

  #answerChallenge(who: number, amount: number): void {
    const { world } = this;
    const provider = world.provider(who % 2);
    const [question] = world.state.providers.get(provider)?.questions ?? [];
    if (question === undefined) return;
    const { sessionId, nonce } = question;
    const challengeAnswers = [{ sessionId, nonce, digest: bytes32Of(amount % 2) }];
    const said = { provider, connected: [], ticks: [], closes: [], challengeAnswers };
    world.submit({ type: "beat-received", ...said, at: world.now });
  }

  #lose(which: number): void {
    const session = this.#session(which);
    if (session === undefined) return;
    const how = { party: "user", reason: "provider-gone" } as const;
    const received = this.world.close(session, how, bytes32Of(which));
    this.world.submit({ type: "close-received", received, at: this.world.now });
  }

  #answer(verb: "accept" | "miss", which: number): void {
    const [asked] = this.#asked.splice(which % Math.max(1, this.#asked.length), 1);
    if (asked === undefined) return;
    const { world } = this;
    const before = world.effects.length;
    if (verb === "accept") world.accept([asked]);
    else {
      const { rfcHash, offerHash } = asked;
      const at = world.now;
      world.submit({ type: "accept-missing", rfcHash, offerHash, reason: "silent", at });
    }
    this.#note(world.effects.slice(before));
  }

  #tick(amount: number): { seconds: number; requestsAnswered: number } {
    return { seconds: amount, requestsAnswered: amount >> 3 };
  }

  #session(which: number): OpenedSession | undefined {
    const sessions = [...this.world.state.sessions.values()];
    const session = sessions[which % Math.max(1, sessions.length)];
    return session === undefined ? undefined : { id: session.id, ticket: session.ticket };
  }

  #note(effects: readonly ReturnType<CoreWorld["submit"]>[number][]): void {
    for (const effect of effects) if (effect.type === "provider-asked") this.#asked.push(effect);
  }
}
