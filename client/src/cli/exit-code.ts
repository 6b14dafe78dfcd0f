import { type ErrorCode, LakeError } from "@lake-travis/protocol";

/** The exit codes of `lake`; docs/cli.md lists them, and a test holds the two equal. */
export const exitCodes = {
  ok: 0,
  /** A fault of ours, or of a file of this machine. */
  failed: 1,
  /** The command line or the configuration is not valid. */
  usage: 2,
  /** MOR, allowance, deposit, or a limit is spent. */
  money: 3,
  /** No such model, Session, file of the network. */
  unknown: 4,
  /** Router, chain, Provider or wallet do not answer; trying later may help. */
  away: 5,
  /** Somebody said no: a wallet, a contract, a signature. */
  refused: 6,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

const usageCodes: readonly ErrorCode[] = [
  "argument-invalid",
  "config-invalid",
  "handle-invalid",
  "body-invalid",
  "wallet-missing",
  "keystore-invalid",
];

/** What a failure makes a command exit with. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof LakeError)) return exitCodes.failed;
  if (usageCodes.includes(error.code)) return exitCodes.usage;
  if (error.code === "chain-refused") return exitCodes.refused;
  if (error.status === 402) return exitCodes.money;
  if (error.status === 404 || error.status === 410) return exitCodes.unknown;
  if (error.status === 429 || error.status === 502 || error.status === 503) return exitCodes.away;
  if (error.status === 401 || error.status === 403) return exitCodes.refused;
  return exitCodes.failed;
}
