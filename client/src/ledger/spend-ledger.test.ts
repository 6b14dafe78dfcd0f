import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { type Clock, LakeError } from "@lake-travis/protocol";
import { systemClock } from "@lake-travis/platform";
import { LedgerStore, type SessionUse } from "./ledger-store.ts";
import { busyMsOf, shareByKey } from "./session-cost.ts";
import type { EndpointKey } from "./spend-guard.ts";
import { SpendLedger, utcDay } from "./spend-ledger.ts";
import { spendGroups, spendReport } from "./spend-report.ts";
import { grantedSession } from "./test-support/granted-session.ts";

const folder = mkdtempSync(join(tmpdir(), "lake-ledger-"));
after(() => rmSync(folder, { recursive: true }));
let files = 0;

const noon = Date.UTC(2026, 0, 31, 12);

interface Rig {
  readonly ledger: SpendLedger;
  readonly store: LedgerStore;
  readonly warnings: string[];
  now: number;
}

function rigOf(dailyLimit: bigint | null): Rig {
  files += 1;
  const store = new LedgerStore(join(folder, `${files}.sqlite`));
  const warnings: string[] = [];
  const rig = { store, warnings, now: noon };
  const clock: Clock = { ...systemClock, now: () => rig.now };
  const warn = (sentence: string): number => warnings.push(sentence);
  return Object.assign(rig, { ledger: new SpendLedger({ store, clock, dailyLimit, warn }) });
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LakeError && error.code === code;
}

describe("the daily limit", () => {
  it("lets no more be signed than it allows, whatever the order", async () => {
    const steps = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 90 })), { maxLength: 40 });
    const property = fc.asyncProperty(fc.nat({ max: 900 }), steps, async (limit, wishes) => {
      const { ledger, store } = rigOf(BigInt(limit));
      const sessions = new Map<number, Awaited<ReturnType<SpendLedger["openSession"]>>>();
      let most = 0n;
      for (const [which, seconds] of wishes) {
        try {
          const known = sessions.get(which) ?? (await ledger.openSession(grantedSession()));
          sessions.set(which, known);
          assert.ok(known.allow(seconds) <= seconds);
        } catch (error) {
          assert.ok(hasCode("spend-limit-reached")(error));
        }
        const { spent } = ledger.today();
        assert.ok(spent <= BigInt(limit) && spent >= most);
        most = spent;
      }
      store.close();
    });
    await fc.assert(property, { numRuns: 25 });
  });

  it("warns at four fifths, once a day", async () => {
    const rig = rigOf(100n);
    const session = await rig.ledger.openSession(grantedSession());
    assert.equal(session.allow(7), 7);
    assert.deepEqual(rig.warnings, []);
    assert.equal(session.allow(8), 8);
    assert.equal(session.allow(9), 9);
    assert.equal(rig.warnings.length, 1);
    assert.equal(session.allow(30), 10);
    assert.throws(
      () => rig.ledger.admit({ key: null, model: "a/b" }),
      hasCode("spend-limit-reached"),
    );
    rig.now += 86_400_000;
    rig.ledger.admit({ key: null, model: "a/b" });
  });

  it("is not passed by a Session whose minimum costs more than is left", async () => {
    const { ledger } = rigOf(100n);
    const dear = grantedSession({ minSeconds: 11 });
    await assert.rejects(ledger.openSession(dear), hasCode("spend-limit-reached"));
    assert.equal(ledger.today().spent, 0n);
  });

  it("holds for many processes, and kill -9 forgets nothing that was signed", async () => {
    const path = join(folder, "killed.sqlite");
    const limit = 4_000n;
    const program = fileURLToPath(new URL("test-support/spender-process.ts", import.meta.url));
    const spend = (killAfter: number): Promise<number> =>
      new Promise((resolve) => {
        const child = spawn(process.execPath, [program, path, String(limit)], {
          stdio: ["ignore", "pipe", "ignore"],
        });
        const signed = new Map<string, number>();
        let total = 0;
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
          for (const line of text.split("\n").filter((each) => each !== "")) {
            const [count = "", seconds] = line.split(" ");
            signed.set(count, Number(seconds));
          }
          total = [...signed.values()].reduce((a, b) => a + b, 0);
          if (total > killAfter) child.kill("SIGKILL");
        });
        child.on("close", () => resolve(total));
      });
    const told = await Promise.all([spend(60), spend(90), spend(10_000)]);
    const store = new LedgerStore(path);
    const rows = store.secondsOfDay(utcDay(Date.now()));
    const signed = rows.reduce((sum, { seconds }) => sum + seconds, 0);
    const sum = told.reduce((a, b) => a + b, 0);
    assert.ok(sum <= signed, `${sum} s were signed, ${signed} s are known`);
    assert.ok(BigInt(signed) * 10n <= limit);
    store.close();
  });
});

describe("a key's daily limit", () => {
  const key: EndpointKey = { name: "laptop", sha256: `0x${"a".repeat(64)}`, dailyLimit: 50n };

  it("stops its request in the middle and refuses the next one", async () => {
    const rig = rigOf(null);
    const granted = grantedSession();
    const session = await rig.ledger.openSession(granted);
    const request = rig.ledger.admit({ key, model: "a/b" });
    const other = rig.ledger.admit({ key: null, model: "a/b" });
    request.servedBy(granted.sessionId);
    for (let second = 1; second <= 5; second += 1) {
      assert.equal(request.signal.aborted, false);
      rig.now += 1_000;
      session.allow(second);
    }
    assert.ok(request.signal.aborted && hasCode("spend-limit-reached")(request.signal.reason));
    assert.equal(other.signal.aborted, false);
    request.finish({ ok: false, tokens: 3 });
    rig.now += 1_000;
    assert.throws(() => rig.ledger.admit({ key, model: "a/b" }), hasCode("spend-limit-reached"));
    rig.ledger.admit({ key: { ...key, name: "other" }, model: "a/b" });
  });
});

const anyUse = fc.record({
  sessionId: fc.constant(grantedSession().sessionId),
  key: fc.constantFrom(null, "a", "b", "c"),
  startedAt: fc.nat({ max: 10_000 }),
  endedAt: fc.nat({ max: 10_000 }),
  tokens: fc.nat({ max: 100 }),
  ok: fc.boolean(),
});
const anyUses = fc.array(anyUse, { maxLength: 12 });

describe("a report", () => {
  it("divides a cost without losing or inventing a wei", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 24n }), anyUses, (wei, uses: SessionUse[]) => {
        const shares = [...shareByKey(wei, uses).values()];
        assert.ok(shares.every((share) => share >= 0n));
        assert.equal(
          shares.reduce((a, b) => a + b, 0n),
          wei,
        );
      }),
    );
  });

  it("counts a moment once, however many requests run in it", () => {
    const spans: [number, number][] = [
      [0, 10],
      [5, 20],
      [6, 7],
      [30, 31],
    ];
    const uses = spans.map(([startedAt, endedAt]) => {
      return { ...grantedSession(), key: null, startedAt, endedAt, tokens: 0, ok: true };
    });
    assert.equal(busyMsOf(uses), 21);
  });

  it("has lines that add up to its sum, sorted by anything", async () => {
    const { ledger, store } = rigOf(null);
    for (const weiPerSecond of [7n, 11n, 10n ** 15n + 1n]) {
      const granted = grantedSession({ weiPerSecond, model: `m/${weiPerSecond}` });
      const session = await ledger.openSession(granted);
      session.allow(13);
      for (const name of ["a", "b"]) {
        const key = { name, sha256: `0x${"0".repeat(64)}` } as const;
        const request = ledger.admit({ key, model: granted.model });
        request.servedBy(granted.sessionId);
        request.finish({ ok: true, tokens: 2 });
      }
      session.close();
    }
    const used = store
      .sessionsBetween("2026-01-31", "2026-01-31")
      .map((session) => ({ session, uses: store.usesOf(session.sessionId) }));
    for (const by of spendGroups) {
      const report = spendReport(used, by);
      assert.equal(report.wei, 13n * (18n + 10n ** 15n + 1n));
      assert.equal(
        report.lines.reduce((sum, { wei }) => sum + wei, 0n),
        report.wei,
      );
      assert.equal(report.unsettled, 3);
    }
  });
});

describe("a damaged ledger", () => {
  it("is named and left as it is", () => {
    const path = join(folder, "damaged.sqlite");
    writeFileSync(path, "not a database at all".repeat(100));
    assert.throws(() => new LedgerStore(path), hasCode("journal-corrupt"));
    assert.match(readFileSync(path, "utf8"), /^not a database/);
  });
});
