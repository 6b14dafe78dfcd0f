/*
 * Gives the Records of an epoch that is over their verdicts, by the published formula and the
 * baseline of the epoch before, and hands what speaks against somebody to the state machine. It
 * runs outside of that, since the Records may lie on the disk; its outcome is in the journal.
 */
import {
  type Address,
  type Baseline,
  baselineFromJson,
  baselineHash,
  genesisBaseline,
  type Hex,
  type JudgedRecord,
  judgeEpoch,
  LakeError,
  type Verdict,
  zeroBytes32,
} from "@lake-travis/protocol";
import type { JudgedSession, RouterEvent } from "./core/events.ts";
import { epochToJudge } from "./core/judging.ts";
import type { EndedRecord, RouterState, JudgedVerdict } from "./core/state.ts";
import { routerLimits } from "./limits.ts";
import { endedInOrder } from "./public-file.ts";
import type { RecordArchive } from "./record-archive.ts";

type EpochJudged = Extract<RouterEvent, { type: "epoch-judged" }>;

/**
 * Judges the next epoch that is due, as one event or several; none where none is due. Its
 * baseline is on the disk when this resolves. Throws `content-missing` where the baseline of the
 * epoch before is lost.
 */
export async function judgeNextEpoch(
  state: RouterState,
  archive: RecordArchive,
): Promise<EpochJudged[]> {
  const epoch = epochToJudge(state);
  if (epoch === undefined) return [];
  const records: JudgedRecord[] = [];
  for await (const { record } of endedOf(state, archive, epoch)) records.push(record);
  const held = [...state.held.values()].filter((each) => each.until <= epoch && !each.cleared);
  const found = judgeEpoch({
    epoch,
    records,
    held: held.filter(({ verdict }) => verdict === "review").map(({ record }) => record),
    baseline: await baselineOf(state, archive),
  });
  const hash = baselineHash(found.baseline);
  await archive.keepBaseline(hash, JSON.stringify(found.baseline));
  const against = await collectAgainst(endedOf(state, archive, epoch), found.verdicts);
  const judgedAgain = found.heldVerdicts.flatMap((verdict) => againstOf(verdict) ?? []);
  return inParts({ epoch, baselineHash: hash, ...against, judgedAgain }, appliedOf(state, epoch));
}

/** How many verdicts were applied before a crash; they are the same again. */
function appliedOf(state: RouterState, epoch: number): number {
  return state.ledgers.get(epoch)?.applied ?? 0;
}

function inParts(
  whole: Omit<EpochJudged, "type" | "from" | "isLast">,
  applied: number,
): EpochJudged[] {
  const parts: EpochJudged[] = [];
  const size = routerLimits.verdictsPerEventMax;
  const none = { sessionsOf: [], judgedAgain: [] };
  let from = applied;
  for (; from + size < whole.judged.length; from += size) {
    const judged = whole.judged.slice(from, from + size);
    parts.push({ type: "epoch-judged", ...whole, ...none, from, judged, isLast: false });
  }
  const judged = whole.judged.slice(from);
  parts.push({ type: "epoch-judged", ...whole, from, judged, isLast: true });
  return parts;
}

/** The text of the newest baseline; undefined before the first epoch was judged. */
export async function newestBaseline(
  state: RouterState,
  archive: RecordArchive,
): Promise<string | undefined> {
  if (state.baselineHash === zeroBytes32) return undefined;
  const text = await archive.baseline(state.baselineHash);
  if (text !== undefined) return text;
  throw new LakeError("content-missing", "The baseline of the last epoch's verdicts is lost.", {
    advice: "Restore the folder records/ of this Router's data folder.",
  });
}

async function baselineOf(state: RouterState, archive: RecordArchive): Promise<Baseline> {
  const text = await newestBaseline(state, archive);
  return text === undefined ? genesisBaseline : baselineFromJson(JSON.parse(text));
}

async function* endedOf(
  state: RouterState,
  archive: RecordArchive,
  epoch: number,
): AsyncGenerator<EndedRecord> {
  const ledger = state.ledgers.get(epoch);
  if (ledger !== undefined) yield* endedInOrder(archive, epoch, ledger);
}

/** The Sessions that did not pass, with their money, and how many each of their parties had. */
async function collectAgainst(
  all: AsyncIterable<EndedRecord>,
  verdicts: readonly Verdict[],
): Promise<Pick<EpochJudged, "judged" | "sessionsOf">> {
  const judged: JudgedSession[] = [];
  const counts = new Map<Address, number>();
  const parties = new Set<Address>();
  let at = 0;
  for await (const ended of all) {
    const { provider } = ended.record;
    const { user } = ended.money;
    for (const account of [provider, user]) counts.set(account, (counts.get(account) ?? 0) + 1);
    const verdict = againstOf(verdicts[at] as Verdict);
    at += 1;
    if (verdict === undefined) continue;
    judged.push({ ...verdict, ended });
    parties.add(provider).add(user);
  }
  const sessionsOf = [...counts].filter(([account]) => parties.has(account));
  return { judged, sessionsOf };
}

function againstOf({ sessionId, verdict, ...rest }: Verdict): JudgedVerdict | undefined {
  return verdict === "pass" ? undefined : { sessionId: sessionId as Hex, verdict, ...rest };
}
