import {
  type Address,
  type CreditProof,
  epochAt,
  formatMor,
  type Hex,
  LakeError,
  recordLeaf,
  buildMerkleTree,
  type SessionRecord,
} from "@lake-travis/protocol";
import type { RouterClient } from "@lake-travis/client";
import type { ChainClient } from "@lake-travis/platform/chain";
import { chainNow, morOf } from "../ground-work.ts";
import { localTerms } from "../local-terms.ts";
import { creditedIn, predictCredits, recordsIn } from "../predict-credits.ts";
import { verify } from "../step-printer.ts";
import { until, type Workplace } from "../workplace.ts";
import type { EndedSession } from "./session-steps.ts";

/** What the accounts were credited before the workflow's Session, in wei since the beginning. */
export interface Baseline {
  /** The newest epoch whose Records are in `credits`; -1 before the first settlement. */
  readonly epoch: number;
  readonly credits: ReadonlyMap<Address, bigint>;
}

/** Reads what is settled by now. */
export async function readBaseline(
  parts: { readonly chain: ChainClient; readonly router: RouterClient },
  accounts: readonly Address[],
): Promise<Baseline> {
  const credits = new Map<Address, bigint>();
  let epoch = -1;
  for (const account of accounts) {
    // What is posted may become final any moment; the Records behind it are not told again.
    const proof = await creditOf(parts.router, account, "posted");
    if (proof === undefined) continue;
    credits.set(account, BigInt(proof.cumulative));
    epoch = Math.max(epoch, proof.epoch);
  }
  return { epoch, credits };
}

/** The epoch's Records are public, the Session among them, without its User. */
export async function recordStep(
  place: Workplace,
  parts: {
    readonly chain: ChainClient;
    readonly router: RouterClient;
    readonly routerUrl: string;
    readonly ended: EndedSession;
  },
): Promise<readonly SessionRecord[]> {
  let credited: readonly SessionRecord[] = [];
  await place.printer.step("record", async () => {
    const { ended, router, routerUrl } = parts;
    const report = await until("the epoch's Records are published", waitMs(2), async () => {
      const known = await router.epoch(ended.epoch);
      return known.recordRoot === null ? undefined : known;
    });
    const fileOf = async (epoch: number): Promise<string> => {
      const answer = await fetch(`${routerUrl}/v1/epochs/${epoch}/records`);
      return answer.text();
    };
    const text = await fileOf(ended.epoch);
    const records = recordsIn(text);
    credited = await creditedIn(text, fileOf);
    const record = records.find(({ sessionId }) => sessionId === ended.sessionId);
    verify(record !== undefined, "the Session is in the Records");
    verify(record.seconds === ended.seconds, "the Record has the seconds that were charged");
    verify(
      record.signatures.user !== null && record.signatures.provider !== null,
      "User and Provider have both signed it",
    );
    verify(!text.includes(place.actors.user.account), "the User's address is not in the Records");
    const tree = buildMerkleTree(records.map((entry) => recordLeaf(entry)));
    verify(tree.root === report.recordRoot, "the Records have the root that will be settled");
    const figures = `${record.seconds} s, ${record.tokens} tokens`;
    return {
      line: `Record public: ${record.model}, ${figures}; file ${report.recordCid ?? ""} on IPFS`,
      figures: { epoch: ended.epoch, records: records.length, recordCid: report.recordCid ?? "" },
    };
  });
  return credited;
}

/** A settlement on the chain. */
export interface Settled {
  readonly epoch: number;
  readonly hash: Hex;
}

/** One transaction settles the epoch for the whole network. */
export async function settlementStep(
  place: Workplace,
  parts: { readonly chain: ChainClient; readonly router: RouterClient; readonly epoch: number },
): Promise<Settled> {
  let settled: Settled | undefined;
  await place.printer.step("settlement", async () => {
    const { chain, epoch, router } = parts;
    const report = await until("the settlement is posted", waitMs(3), async () => {
      const known = await router.epoch(epoch);
      return known.transaction === null ? undefined : known;
    });
    const receipt = await chain.provider.getTransactionReceipt(report.transaction ?? "");
    verify(receipt?.status === 1, "the transaction succeeded");
    const books = await newestBooks(chain);
    const book = books.find(({ digest }) => digest === report.settlementHash);
    verify(book !== undefined, "the chain holds the settlement that the Router computed");
    settled = { epoch: Number(book.epoch), hash: book.digest };
    const gas = Number(receipt.gasUsed);
    const root = `credit root ${book.creditRoot.slice(0, 18)}…`;
    return {
      line: `Epoch ${epoch} settled in one transaction: ${gas} gas, ${root}`,
      figures: { epoch, gasUsed: gas, transaction: report.transaction ?? "" },
    };
  });
  return settled as unknown as Settled;
}

/** The settlement can no longer be voided. */
export async function finalStep(
  place: Workplace,
  chain: ChainClient,
  settled: Settled,
): Promise<void> {
  await place.printer.step("final", async () => {
    const epoch = await until("the settlement is final", waitMs(3), async () => {
      const book = (await chain.read("computeContract", "finalSettlement")) as Book;
      return Number(book.epoch) >= settled.epoch && book.digest !== zero ? book.epoch : undefined;
    });
    const now = epochAt(chain.deployment.schedule, await chainNow(chain));
    return {
      line: `Settlement of epoch ${epoch} is final in epoch ${now}`,
      figures: { epoch: Number(epoch), now },
    };
  });
}

/** Provider, Builder and Router are paid exactly what the Records say. */
export async function claimStep(
  place: Workplace,
  parts: {
    readonly chain: ChainClient;
    readonly router: RouterClient;
    readonly records: readonly SessionRecord[];
    readonly baseline: Baseline;
    readonly provider: Address;
  },
): Promise<void> {
  const { actors, printer } = place;
  const predicted = predictCredits(parts.records);
  const claimants = [
    ["Provider", parts.provider],
    ["Builder", actors.builder.account],
    ["Router", actors.router.account],
  ] as const;
  for (const [who, account] of claimants) {
    await printer.step(`claim-${who.toLowerCase()}`, async () => {
      const before = parts.baseline.credits.get(account) ?? 0n;
      const earned = predicted.get(account) ?? 0n;
      const moved = await claim(place, parts, { account, expected: before + earned });
      const sums = `earned ${formatMor(earned)} MOR and claimed ${formatMor(moved)}`;
      return {
        line: `${who} ${sums}: the predicted wei`,
        figures: { account, earnedWei: earned.toString(), claimedWei: moved.toString() },
      };
    });
  }
}

async function claim(
  place: Workplace,
  parts: { readonly chain: ChainClient; readonly router: RouterClient },
  due: { readonly account: Address; readonly expected: bigint },
): Promise<bigint> {
  const { chain, router } = parts;
  const { account, expected } = due;
  const proof = await until("the Router shows the credit's proof", waitMs(1), async () => {
    const known = await creditOf(router, account);
    return known !== undefined && BigInt(known.cumulative) >= expected ? known : undefined;
  });
  verify(BigInt(proof.cumulative) === expected, "the credit is what the Records add up to");
  const claimed = (await chain.read("computeContract", "claimedOf", [account])) as bigint;
  const before = await morOf(chain, account);
  const poster = chain.as(place.actors.poster.key);
  await poster.send("computeContract", "claim", [account, expected, proof.proof]);
  const moved = (await morOf(chain, account)) - before;
  verify(moved === expected - claimed, "the balance moved by exactly the predicted wei");
  return moved;
}

interface Book {
  readonly digest: Hex;
  readonly creditRoot: Hex;
  readonly epoch: bigint;
}

const zero = `0x${"0".repeat(64)}`;

async function newestBooks(chain: ChainClient): Promise<readonly Book[]> {
  const [final, [pending]] = (await Promise.all([
    chain.read("computeContract", "finalSettlement"),
    chain.read("computeContract", "pendingSettlement"),
  ])) as [Book, [Book, bigint]];
  return [final, pending];
}

async function creditOf(
  router: RouterClient,
  account: Address,
  state: "final" | "posted" = "final",
): Promise<CreditProof | undefined> {
  try {
    return await router.credit(account, state);
  } catch (error) {
    if (error instanceof LakeError && error.status === 404) return undefined;
    throw error;
  }
}

function waitMs(epochs: number): number {
  return (epochs + 1) * localTerms.epochSeconds * 1000;
}
