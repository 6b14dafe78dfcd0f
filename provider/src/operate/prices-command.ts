import { Command, Option } from "commander";
import { formatMorShort } from "@lake-travis/protocol";
import { createHttpClient } from "@lake-travis/platform";
import { readDeployment } from "@lake-travis/platform/chain";
import { findRouter } from "./find-router.ts";
import { floorOf, nameOf } from "./follow-prices.ts";
import { expectedShare, type PriceQuestion, priceToWin } from "./price-to-win.ts";
import { type ConfiguredModel, type ProviderConfig, readConfig } from "./provider-config.ts";
import { marketOf, readOffers } from "./read-market.ts";
import { table } from "./status-report.ts";

interface PricesOptions {
  readonly config: string;
  readonly json: boolean;
}

/** Shares for which a price is shown. */
const shownShares = [25, 50, 75, 100] as const;

/** `lake provider prices`: what others ask, and which price would win which share. */
export function createPricesCommand(): Command {
  return new Command("prices")
    .description("show what others ask and the price that would win a share of the Sessions")
    .addOption(new Option("--config <file>", "the configuration").default("provider.yaml"))
    .option("--json", "print JSON for scripts", false)
    .addHelpText("after", "\nExample:\n  lake provider prices")
    .action(async (options: PricesOptions) => {
      const config = readConfig(options.config);
      const found = await findRouter(config.routers, readDeployment(config.deployment));
      const http = createHttpClient({ unreachable: "router-unreachable" });
      try {
        for (const model of config.models) {
          const offers = await readOffers(http, found.url, nameOf(model));
          const market = marketOf(offers, nameOf(model), config.account);
          const { rivals, ownUsedSlots } = market;
          const question = questionOf(model, config, { rivals, ownUsedSlots });
          process.stdout.write(`${(options.json ? jsonOf : pageOf)(model, question)}\n`);
        }
      } finally {
        await http.close();
      }
    });
}

function questionOf(
  model: ConfiguredModel,
  config: ProviderConfig,
  market: Pick<PriceQuestion, "rivals" | "ownUsedSlots">,
): PriceQuestion {
  return {
    ...market,
    ownSlots: model.slots,
    price: model.weiPerSecond,
    floor: floorOf(model),
    sharePercent: config.pricing.share,
  };
}

function pageOf(model: ConfiguredModel, question: PriceQuestion): string {
  const { rivals, floor, price, sharePercent } = question;
  const cheapest = [...rivals].sort((a, b) => (a.weiPerSecond < b.weiPerSecond ? -1 : 1));
  const chosen = priceToWin(question);
  return [
    nameOf(model),
    ...table(
      ["OTHERS ASK", "WEI/S", "SLOTS", "BUSY"],
      cheapest.map((rival) => [
        perHour(rival.weiPerSecond),
        rival.weiPerSecond.toString(),
        String(rival.slots),
        String(rival.usedSlots),
      ]),
    ),
    `Your price ${perHour(price)} is expected to win ${expectedShare(price, question)}%; ` +
      `your floor is ${perHour(floor)}.`,
    ...table(
      ["TO WIN", "ASK", "WEI/S", "EXPECTED"],
      shownShares.map((share) => {
        const answer = priceToWin({ ...question, sharePercent: share });
        const { weiPerSecond } = answer;
        const expected = `${answer.sharePercent}%`;
        return [`${share}%`, perHour(weiPerSecond), weiPerSecond.toString(), expected];
      }),
    ),
    `'pricing: mode: auto' with share ${sharePercent} would ask ${perHour(chosen.weiPerSecond)}: ` +
      `${chosen.reason}.`,
    "",
  ].join("\n");
}

function jsonOf(model: ConfiguredModel, question: PriceQuestion): string {
  const shares = shownShares.map((share) => {
    const answer = priceToWin({ ...question, sharePercent: share });
    return { ...answer, share, weiPerSecond: answer.weiPerSecond.toString() };
  });
  const { rivals, floor, price } = question;
  return JSON.stringify({
    model: nameOf(model),
    price: price.toString(),
    floor: floor.toString(),
    expectedSharePercent: expectedShare(price, question),
    rivals: rivals.map((rival) => ({ ...rival, weiPerSecond: rival.weiPerSecond.toString() })),
    shares,
  });
}

function perHour(weiPerSecond: bigint): string {
  return `${formatMorShort(weiPerSecond * 3_600n)} MOR/h`;
}
