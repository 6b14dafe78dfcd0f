import { createHttpClient } from "@lake-travis/platform";
import { formatHandle, parseHandle } from "@lake-travis/protocol";
import { operateLimits } from "./limits.ts";
import { priceToWin } from "./price-to-win.ts";
import type { ConfiguredModel } from "./provider-config.ts";
import type { Follower, ProviderService } from "./provider-service.ts";
import { marketOf, readOffers } from "./read-market.ts";

/** Keeps each model's price where it is expected to win the configured share. */
export function createPriceFollower(service: ProviderService): Follower {
  const { config, logger, routerUrl } = service.options;
  const terms = new Map(config.models.map((model) => [nameOf(model), model]));
  const http = createHttpClient({ unreachable: "router-unreachable" });
  return {
    everyMs: operateLimits.followPricesMs,
    stop: () => http.close(),
    async look() {
      for (const { model, slots, isOffered, weiPerSecond } of service.node.snapshot().models) {
        if (!isOffered) continue;
        const own = BigInt(weiPerSecond);
        const configured = terms.get(model);
        // What was chosen by demand has the floor of all such models.
        const { price, floor } =
          configured === undefined
            ? { price: own, floor: config.demand.weiPerSecond ?? own }
            : { price: configured.weiPerSecond, floor: floorOf(configured) };
        const offers = await readOffers(http, routerUrl, model);
        const { rivals, ownUsedSlots } = marketOf(offers, model, config.account);
        const answer = priceToWin({
          rivals,
          ownUsedSlots,
          ownSlots: slots,
          price,
          floor,
          sharePercent: config.pricing.share,
        });
        if (answer.weiPerSecond === own) continue;
        const to = answer.weiPerSecond.toString();
        const { reason, sharePercent } = answer;
        logger.info({ model, from: weiPerSecond, to, sharePercent, reason }, "price changed");
        await service.node.setPrice(model, answer.weiPerSecond);
      }
    },
  };
}

/** The owner's floor of a model; without one the price itself is the floor. */
export function floorOf({ floorWeiPerSecond, weiPerSecond }: ConfiguredModel): bigint {
  return floorWeiPerSecond ?? weiPerSecond;
}

/** A configured model's name as Offers carry it. */
export function nameOf({ model }: ConfiguredModel): string {
  return formatHandle(parseHandle(model));
}
