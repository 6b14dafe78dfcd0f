import { type Hex, recordLine, type SessionRecord } from "@lake-travis/protocol";

const digest = (digit: string): Hex => `0x${digit.repeat(64)}`;
const account = (digit: string): Hex => `0x${digit.repeat(40)}`;

/** A Record of a good Session; `changes` make it another one. */
export function anyRecord(number: number, changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    sessionId: `0x${number.toString(16).padStart(64, "0")}`,
    epoch: 7,
    model: "alice/llama:8b",
    manifestDigest: digest("a"),
    provider: account("1"),
    builder: account("2"),
    payees: [
      { account: account("1"), kind: 0, weiPerSecond: "900" },
      { account: account("2"), kind: 1, weiPerSecond: "100" },
    ],
    router: account("3"),
    user: digest("b"),
    openedAt: 1_800_000_000_000,
    seconds: 100,
    tokens: 2_000,
    requestsAnswered: 4,
    requestsFailed: 0,
    ttftMs: 120,
    milliTps: 50_000,
    offeredMilliTps: 50_000,
    weiPerSecond: "900",
    builderWeiPerSecond: "100",
    fundedBy: "allowance",
    endedBy: "user",
    endReason: "finished",
    hardwareClass: "gpu-test",
    challengesAsked: 0,
    challengesPassed: 0,
    signatures: { user: null, provider: null, tickSeconds: 102, activeMs: 40_000 },
    ...changes,
  };
}

/** The lines of a file of Records. */
export function linesOf(records: readonly SessionRecord[]): string {
  return records.map((record) => `${recordLine(record)}\n`).join("");
}
