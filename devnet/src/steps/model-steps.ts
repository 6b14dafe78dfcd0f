import {
  domainOf,
  domainSeparatorOf,
  formatMorShort,
  type Hex,
  type ListedOffer,
  offerType,
  parseHandle,
  requireSigner,
} from "@lake-travis/protocol";
import { createRouterClient, type RouterClient } from "@lake-travis/client";
import { nativeSignatures } from "@lake-travis/platform";
import {
  type ChainClient,
  connectChain,
  createNodeDirectory,
  readDeployment,
} from "@lake-travis/platform/chain";
import { giveMor } from "../ground-work.ts";
import { localTerms } from "../local-terms.ts";
import { verify } from "../step-printer.ts";
import { until, type Workplace } from "../workplace.ts";

/** The Builder's model is on IPFS and its name on the chain; returns the Builder's gateway. */
export async function publishStep(place: Workplace, chain: ChainClient): Promise<string> {
  let gatewayUrl = "";
  await place.printer.step("publish", async () => {
    const { actors, network } = place;
    const { name, tag } = nameOf(localTerms.model);
    const known = (await chain.read("modelRegistry", "nameRecord", [name])) as { owner: string };
    if (known.owner.toLowerCase() !== actors.builder.account) {
      const capital = chain.as(actors.capital.key);
      await giveMor(chain, capital, actors.builder.account, localTerms.builderMor);
    }
    const { ready } = await network.startBuilder(actors.builder);
    gatewayUrl = String(ready["gatewayUrl"]);
    network.noteDeployment({ holders: [gatewayUrl] });
    const { [localTerms.model]: digest = "" } = ready["manifestDigests"] as Record<string, string>;
    const resolved = (await chain.read("modelRegistry", "resolve", [name, tag, 0])) as {
      manifestDigest: Hex;
      builder: string;
    };
    verify(resolved.manifestDigest === digest, "the chain names the manifest that was published");
    verify(resolved.builder.toLowerCase() === actors.builder.account, "the Builder owns the name");
    const manifest = `manifest ${digest.slice(0, 18)}…`;
    return {
      line: `Builder published ${localTerms.model}: ${manifest}, blocks on IPFS at ${gatewayUrl}`,
      figures: { model: localTerms.model, manifestDigest: digest, gatewayUrl },
    };
  });
  return gatewayUrl;
}

/** The Router has read the chain; returns its URL. */
export async function routerStep(
  place: Workplace,
  chain: ChainClient,
  builderGateway: string,
): Promise<string> {
  let url = "";
  await place.printer.step("router", async () => {
    const { actors, network } = place;
    const { ready } = await network.startRouter(actors.router, actors.poster);
    url = String(ready["url"]);
    // The Router holds the Records' files, as the Builder holds the models'.
    network.noteDeployment({
      routers: [url],
      holders: [builderGateway, String(ready["gatewayUrl"])],
    });
    const router = createRouterClient(url);
    const status = await router.status();
    await router.stop();
    const key = await createNodeDirectory(chain).signingKeyOf(actors.router.account);
    verify(status.router === actors.router.account, "the Router speaks for its staked account");
    verify(status.signingKey === key, "its signing key is the one on the chain");
    return {
      line: `Router up at ${url}, signing key ${status.signingKey}`,
      figures: { url, router: status.router, signingKey: status.signingKey },
    };
  });
  return url;
}

/** Both Providers have pulled the model, checked every block, loaded and measured it. */
export async function providersStep(
  place: Workplace,
  terms: { readonly routerUrl: string; readonly holder: string },
): Promise<void> {
  for (const name of ["provider-1", "provider-2"] as const) {
    await place.printer.step(name, async () => {
      const weiPerSecond = localTerms.providerWeiPerSecond[name];
      const actor = place.actors[name];
      const models = [{ model: localTerms.model, weiPerSecond }, ...alsoServedBy(name)];
      const { ready } = await place.network.startProvider(actor, { ...terms, models });
      const { milliTps = 0, loadMs = 0 } = (ready["offers"] as MadeOffer[])[0] ?? {};
      const fetchedBytes = Number(ready["fetchedBytes"]);
      const modelBytes = Number(ready["modelBytes"]);
      verify(milliTps > 0, `${name} measured its speed`);
      verify(ready["manifestDigest"] !== undefined, `${name} has checked the manifest`);
      const tps = Math.round(milliTps / 1000);
      const pulled =
        fetchedBytes > 0 ? `pulled ${fetchedBytes} bytes, every block verified` : "holds the model";
      const price = `${formatMorShort(weiPerSecond * 3600n)} MOR/h`;
      return {
        line: `${name} ${pulled}; ${tps} tokens/s with all slots busy; asks ${price}`,
        figures: {
          fetchedBytes,
          modelBytes,
          milliTps,
          loadMs,
          weiPerSecond: weiPerSecond.toString(),
        },
      };
    });
  }
}

/** The Router holds both signed Offers at different prices. */
export async function offersStep(
  place: Workplace,
  router: RouterClient,
): Promise<readonly ListedOffer[]> {
  let offers: readonly ListedOffer[] = [];
  await place.printer.step("offers", async () => {
    offers = await until("both Offers are listed", 15_000, async () => {
      const listed = await router.offers();
      const wanted = listed.filter(({ offer }) => offer.message.model === localTerms.model);
      return wanted.length === 2 ? wanted : undefined;
    });
    const chain = connectChain(readDeployment(place.network.deploymentPath));
    const separator = domainSeparatorOf(domainOf(chain.deployment));
    const directory = createNodeDirectory(chain);
    for (const { offer } of offers) {
      const expected = await directory.signingKeyOf(offer.message.provider);
      verify(expected !== undefined, "the Offer's Provider is registered");
      requireSigner(separator, offerType, offer, { signatures: nativeSignatures, expected });
    }
    chain.close();
    const prices = offers.map(({ totalWeiPerSecond }) => BigInt(totalWeiPerSecond) * 3600n);
    verify(new Set(prices).size === 2, "the prices differ");
    const shown = prices.map((wei) => `${formatMorShort(wei)} MOR/h`).join(" and ");
    return {
      line: `Two signed Offers: ${shown}, Builder's share included`,
      figures: { offers: offers.length },
    };
  });
  return offers;
}

function alsoServedBy(name: string): { readonly model: string; readonly weiPerSecond: bigint }[] {
  if (name !== "provider-2") return [];
  return [{ model: localTerms.classifier, weiPerSecond: localTerms.classifierWeiPerSecond }];
}

interface MadeOffer {
  readonly milliTps?: number;
  readonly loadMs?: number;
}

function nameOf(handle: string): { name: string; tag: string } {
  const parsed = parseHandle(handle);
  return { name: `${parsed.builder}/${parsed.name}`, tag: parsed.tag };
}
