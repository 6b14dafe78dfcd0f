import { Command } from "commander";
import {
  type Address,
  domainOf,
  domainSeparatorOf,
  isHex,
  keccak256,
  LakeError,
  type SessionRecord,
} from "@lake-travis/protocol";
import { nativeSignatures } from "@lake-travis/platform";
import type { ChainClient } from "@lake-travis/platform/chain";
import {
  type AuditedSettlement,
  auditSettlement,
  type Difference,
  emptyAudit,
  inclusionProof,
} from "../audit/audit-settlement.ts";
import {
  type PostedSettlement,
  readSettlements,
  readSigningKeys,
} from "../audit/chain-settlements.ts";
import { PublicFiles } from "../audit/fetch-public-file.ts";
import { parsePublicFile, type PublicRecords } from "../audit/public-file.ts";

/** What the audit's commands need of the program that mounts them. */
export interface AuditContext {
  readonly json: boolean;
  chain(): Promise<ChainClient>;
  /** IPFS gateways to begin with. */
  holders?(manifestDigest: string | undefined): Promise<readonly string[]>;
}

interface AuditFlags {
  readonly epoch?: number;
  readonly from?: number;
  readonly full?: boolean;
  readonly gateway?: string[];
}

const examples = `
Examples:
  lake audit
  lake audit --from 120 --full
  lake audit --epoch 120 --gateway http://127.0.0.1:8081`;

/** `lake audit`: everything that is settled, computed again. Exit code 1 where it differs. */
export function auditCommand(context: AuditContext): Command {
  return new Command("audit")
    .description("compute verdicts, credits and roots again from the chain and IPFS alone")
    .option("--epoch <n>", "only the settlement that this epoch is in", Number)
    .option("--from <n>", "from the settlement that this epoch is in", Number)
    .option("--full", "check every signature, not a sample of one in ten")
    .option("--gateway <url...>", "IPFS gateways to fetch the public files from")
    .addHelpText("after", examples)
    .action((flags: AuditFlags) => audit(context, flags));
}

/** `lake sessions prove <sessionId>`: the Merkle proof that a Session is in its settlement. */
export function proveCommand(context: AuditContext): Command {
  return new Command("prove")
    .description("show a Session's Record and the proof that its settlement holds it")
    .argument("<sessionId>", "0x and 64 digits")
    .option("--gateway <url...>", "IPFS gateways to fetch the public files from")
    .action((sessionId: string, flags: AuditFlags) => prove(context, sessionId, flags));
}

async function audit(context: AuditContext, flags: AuditFlags): Promise<void> {
  const chain = await context.chain();
  const files = await openFiles(context, chain, flags);
  try {
    const settlements = await readSettlements(chain);
    const wanted = wantedOf(settlements, flags);
    let before = emptyAudit;
    // The chain of money and baselines begins with the first settlement, so all are computed; only
    // the wanted ones are reported, and only their signatures are checked.
    for (const posted of settlements) {
      const file = parsePublicFile(await files.fetch(posted.settlement));
      const isWanted = wanted.has(posted.hash);
      const audited = await auditOne(chain, posted, file, {
        before,
        checks: isWanted ? samplerOf(posted, flags.full ?? false) : () => false,
      });
      const { difference = await reportDifference(file, audited.pages, files) } = audited;
      const result = { ...audited, difference };
      if (isWanted || result.difference !== undefined) report(context, posted, result);
      before = result.next;
      if (isLast(posted, settlements, wanted)) break;
    }
    if (!context.json && wanted.size === 0) process.stdout.write("Nothing is settled yet.\n");
  } finally {
    await files.close();
  }
}

async function auditOne(
  chain: ChainClient,
  posted: PostedSettlement,
  file: PublicRecords,
  options: {
    readonly before: typeof emptyAudit;
    readonly checks: (record: SessionRecord) => boolean;
  },
): Promise<AuditedSettlement> {
  const checked = file.records.filter(options.checks);
  const providers = checked.map(({ provider }): Address => provider);
  return auditSettlement({
    settlement: posted.settlement,
    file,
    before: options.before,
    signatures: nativeSignatures,
    separator: domainSeparatorOf(domainOf(chain.deployment)),
    signingKeys: await readSigningKeys(chain, providers),
    checksSignatures: options.checks,
  });
}

/** The first report whose CID is not that of the page that follows from the Records. */
async function reportDifference(
  file: PublicRecords,
  pages: AuditedSettlement["pages"],
  files: PublicFiles,
): Promise<Difference | undefined> {
  for (const [epoch, page] of pages) {
    const computed = await files.cidOf(page);
    const published = file.reports.get(epoch) ?? "none";
    if (published !== computed) {
      return { what: `CID of the report on epoch ${epoch}`, published, computed };
    }
  }
  return undefined;
}

/** One Session in ten, chosen by the settlement's own hash: nobody knows before which. */
function samplerOf(posted: PostedSettlement, full: boolean): (record: SessionRecord) => boolean {
  if (full) return () => true;
  return ({ sessionId }) => {
    const [first = 0] = keccak256(Buffer.from(posted.hash.slice(2) + sessionId.slice(2), "hex"));
    return first % 10 === 0;
  };
}

function wantedOf(settlements: readonly PostedSettlement[], flags: AuditFlags): Set<string> {
  const { epoch, from } = flags;
  const least = epoch ?? from ?? 0;
  if (!Number.isSafeInteger(least) || least < 0) {
    throw new LakeError("argument-invalid", "An epoch is a whole number.");
  }
  const covering = settlements.filter(({ settlement }) => settlement.epoch >= least);
  if (epoch !== undefined && covering.length === 0) {
    throw new LakeError("argument-invalid", `Epoch ${epoch} is not settled yet.`);
  }
  return new Set((epoch === undefined ? covering : covering.slice(0, 1)).map(({ hash }) => hash));
}

function isLast(
  posted: PostedSettlement,
  settlements: readonly PostedSettlement[],
  wanted: ReadonlySet<string>,
): boolean {
  const last = settlements.findLast(({ hash }) => wanted.has(hash));
  return last === undefined || posted.hash === last.hash;
}

function report(context: AuditContext, posted: PostedSettlement, result: AuditedSettlement): void {
  const { settlement, hash, state, transaction } = posted;
  const { difference, records, signaturesChecked, failed } = result;
  if (context.json) {
    const facts = { epoch: settlement.epoch, hash, state, transaction };
    const found = { records, failed, signaturesChecked, difference: difference ?? null };
    process.stdout.write(`${JSON.stringify({ ...facts, ...found })}\n`);
  } else {
    const counts = `${records} Records, ${failed} failed, ${signaturesChecked} signatures checked`;
    const verdict = difference === undefined ? "agrees" : "DIFFERS";
    process.stdout.write(`epoch ${settlement.epoch} (${state}): ${verdict}; ${counts}\n`);
  }
  if (difference !== undefined) throw differs(posted, difference);
}

function differs(posted: PostedSettlement, difference: Difference): LakeError {
  const { what, published, computed, sessionId } = difference;
  const of = sessionId === undefined ? "" : ` ${sessionId}`;
  const figures = `published as ${published}, computed as ${computed}`;
  return new LakeError(
    "audit-differs",
    `Epoch ${posted.settlement.epoch}: ${what}${of} is ${figures}.`,
    {
      advice: "Tell the network: the public file and this transaction are the proof.",
      data: { transaction: posted.transaction, recordCid: posted.settlement.recordCid },
    },
  );
}

async function prove(context: AuditContext, sessionId: string, flags: AuditFlags): Promise<void> {
  if (!isHex(sessionId, 32)) {
    throw new LakeError("argument-invalid", "A sessionId is 0x and 64 lower-case digits.");
  }
  const chain = await context.chain();
  const files = await openFiles(context, chain, flags);
  try {
    for (const posted of (await readSettlements(chain)).reverse()) {
      const file = parsePublicFile(await files.fetch(posted.settlement));
      const found = inclusionProof(file, sessionId);
      if (found === undefined) continue;
      const { transaction, settlement } = posted;
      if (found.root !== settlement.recordRoot) {
        const published = settlement.recordRoot;
        throw differs(posted, { what: "root of the Records", published, computed: found.root });
      }
      const proof = { ...found, settledIn: settlement.epoch, transaction };
      process.stdout.write(`${JSON.stringify(proof, null, context.json ? 0 : 2)}\n`);
      return;
    }
    throw new LakeError("session-unknown", `No settlement holds the Session ${sessionId}.`, {
      advice:
        "If its epoch is settled, it was dropped: its Ticket and last Tick prove that it was.",
    });
  } finally {
    await files.close();
  }
}

async function openFiles(
  context: AuditContext,
  chain: ChainClient,
  flags: AuditFlags,
): Promise<PublicFiles> {
  const holders = (await context.holders?.(undefined)) ?? [];
  return new PublicFiles({
    gateways: [...(flags.gateway ?? []), ...holders],
    routers: flags.gateway === undefined ? (chain.deployment.routers ?? []) : [],
  });
}
