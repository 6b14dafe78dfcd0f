import type { Command } from "commander";
import { formatMor, formatMorShort, type ListedOffer } from "@lake-travis/protocol";
import { createRouterClient } from "../router-client.ts";
import { formatTable } from "./format-table.ts";
import type { LakeContext } from "./lake-context.ts";

/** Makes `lake models` without a verb show what the network offers now. */
export function withNetworkModels(models: Command, context: LakeContext): Command {
  return models
    .description("what the network offers now; with a verb: models on this machine and on chain")
    .action(() => listOffered(context));
}

/** What one model costs and who offers it. */
interface OfferedSummary {
  readonly model: string;
  readonly weiPerSecond: bigint;
  readonly providers: number;
  readonly freeSlots: number;
  readonly tokensPerSecond: number;
}

/** Offers summed up by model, the cheapest first. */
function summariseOffers(offers: readonly ListedOffer[]): readonly OfferedSummary[] {
  const byModel = new Map<string, OfferedSummary>();
  for (const { freeSlots, offer, totalWeiPerSecond } of offers) {
    const { milliTps, model } = offer.message;
    const wei = BigInt(totalWeiPerSecond);
    const known = byModel.get(model);
    byModel.set(model, {
      model,
      weiPerSecond: known !== undefined && known.weiPerSecond < wei ? known.weiPerSecond : wei,
      providers: (known?.providers ?? 0) + 1,
      freeSlots: (known?.freeSlots ?? 0) + freeSlots,
      tokensPerSecond: Math.max(known?.tokensPerSecond ?? 0, milliTps / 1000),
    });
  }
  return [...byModel.values()].sort((a, b) => (a.weiPerSecond < b.weiPerSecond ? -1 : 1));
}

/** What the Router's Providers offer now. */
export async function askOffered(context: LakeContext): Promise<readonly OfferedSummary[]> {
  const router = createRouterClient(context.place().routerUrl());
  try {
    return summariseOffers(await router.offers());
  } finally {
    await router.stop();
  }
}

async function listOffered(context: LakeContext): Promise<void> {
  const offered = await askOffered(context);
  const header = ["model", "MOR/h", "tokens/s", "Providers", "free slots"];
  const rows = offered.map((each) => [
    each.model.replace(/:latest$/, ""),
    formatMorShort(each.weiPerSecond * 3600n),
    String(Math.round(each.tokensPerSecond)),
    String(each.providers),
    String(each.freeSlots),
  ]);
  const json = offered.map((each) => ({
    ...each,
    weiPerSecond: each.weiPerSecond.toString(),
    morPerHour: formatMor(each.weiPerSecond * 3600n),
  }));
  const text =
    rows.length === 0 ? "Nothing is offered now." : formatTable(header, rows, header.slice(1));
  context.terminal.result({ models: json }, text);
}
