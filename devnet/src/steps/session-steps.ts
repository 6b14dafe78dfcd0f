import {
  type Address,
  formatMorShort,
  type Hex,
  type ListedOffer,
  type SessionState,
} from "@lake-travis/protocol";
import type { RouterClient } from "@lake-travis/client";
import type { ChainClient } from "@lake-travis/platform/chain";
import { deposit, morOf } from "../ground-work.ts";
import { localTerms } from "../local-terms.ts";
import { verify } from "../step-printer.ts";
import { streamChat } from "../stream-chat.ts";
import { until, type Workplace } from "../workplace.ts";
import { budgetReady } from "./chain-steps.ts";
import { type Baseline, readBaseline } from "./settlement-steps.ts";

/** The User holds MOR, has a deposit, and its client is delegated; returns the endpoint. */
export async function userStep(
  place: Workplace,
  chain: ChainClient,
  routerUrl: string,
): Promise<string> {
  let endpoint = "";
  await place.printer.step("user", async () => {
    const { user } = place.actors;
    const held = await deposit(chain, user);
    const mor = await morOf(chain, user.account);
    const { ready } = await place.network.startClient(user, routerUrl, place.port);
    endpoint = String(ready["endpoint"]);
    verify(mor > 0n, "the User holds MOR");
    const money = `${formatMorShort(mor)} MOR, deposit ${formatMorShort(held)} MOR`;
    return {
      line: `User holds ${money}; its wallet signed one Delegation`,
      figures: {
        user: user.account,
        morWei: mor.toString(),
        depositWei: held.toString(),
        endpoint,
      },
    };
  });
  return endpoint;
}

/** Everything is ready for a Session: a budget for the epoch, and what everyone has by now. */
export async function grantStep(
  place: Workplace,
  parts: {
    readonly chain: ChainClient;
    readonly router: RouterClient;
    readonly endpoint: string;
    readonly offers: readonly ListedOffer[];
  },
): Promise<Baseline> {
  let baseline: Baseline | undefined;
  await place.printer.step("ready", async () => {
    const { actors } = place;
    const budget = await budgetReady(parts.chain);
    baseline = await readBaseline(parts, [
      actors["provider-1"].account,
      actors["provider-2"].account,
      actors.builder.account,
      actors.router.account,
    ]);
    const answer = await fetch(`${parts.endpoint}/models`);
    const { data } = (await answer.json()) as { data: { id: string }[] };
    const names = data.map(({ id }) => id);
    verify(names.includes(modelName), "the endpoint lists the model");
    const spendable = `${formatMorShort(budget)} MOR`;
    return {
      line: `Network ready: ${names.join(" and ")} offered, budget of this epoch ${spendable}`,
      figures: { budgetWei: budget.toString(), models: names.join(" ") },
    };
  });
  return baseline as unknown as Baseline;
}

/** A chat completion streamed straight from the cheapest Provider. */
export async function sessionStep(
  place: Workplace,
  endpoint: string,
): Promise<{ sessionId: Hex; provider: Address }> {
  let sessionId: Hex = "0x";
  let provider: Address = "0x";
  await place.printer.step("session", async () => {
    const chat = await streamChat(endpoint, modelName, prompt);
    sessionId = (chat.headers.get("lake-session") ?? "0x") as Hex;
    provider = (chat.headers.get("lake-provider") ?? "0x") as Address;
    const price = BigInt(chat.headers.get("lake-price-wei-per-second") ?? 0);
    const { actors } = place;
    verify(provider === actors["provider-1"].account, "the cheaper Provider was chosen");
    const expected = localTerms.providerWeiPerSecond["provider-1"] + localTerms.builderWeiPerSecond;
    verify(price === expected, "the price is the Provider's and the Builder's");
    verify(chat.tokens > 0 && chat.text.length > 0, "an answer was streamed");
    const said = `“${prompt}” → “${chat.text.trim().slice(0, 60)}…”`;
    const speed = `${chat.tokens} tokens, first after ${chat.ttftMs} ms`;
    return {
      line: `Session ${sessionId.slice(0, 10)}… at provider-1: ${said} (${speed})`,
      figures: {
        sessionId,
        provider,
        weiPerSecond: price.toString(),
        tokens: chat.tokens,
        ttftMs: chat.ttftMs,
        tokensPerSecond: chat.tokensPerSecond,
      },
    };
  });
  return { sessionId, provider };
}

/** A Session as it ended. */
export interface EndedSession {
  readonly sessionId: Hex;
  readonly epoch: number;
  readonly charge: bigint;
  readonly seconds: number;
}

/** The User's client closed the Session, and the Router charged what both had signed. */
export async function closeStep(
  place: Workplace,
  parts: {
    readonly router: RouterClient;
    readonly endpoint: string;
    readonly sessionId: Hex;
  },
): Promise<EndedSession> {
  let ended: EndedSession | undefined;
  await place.printer.step("close", async () => {
    const local = parts.endpoint.replace(/\/v1$/, "/lake/v1/sessions");
    const { sessions } = (await (await fetch(local)).json()) as { sessions: OpenSession[] };
    const open = sessions[0];
    // Where the epoch has changed meanwhile, the Session goes on under its successor's id.
    const current = open?.sessionId ?? parts.sessionId;
    await fetch(`${local}/${current}`, { method: "DELETE" });
    const state = await until("the Router has ended the Session", 20_000, async () => {
      const known = await parts.router.session(current);
      return known.state === "ended" && known.charge !== null ? known : undefined;
    });
    const weiPerSecond = BigInt(open?.weiPerSecond ?? 0);
    const charge = checkCharge(state, weiPerSecond);
    const { epoch } = state;
    ended = { sessionId: current, epoch, charge, seconds: state.chargedSeconds ?? 0 };
    const why = `${state.endedBy ?? ""} (${state.endReason ?? ""})`;
    return {
      line: `Closed by the ${why}: ${ended.seconds} s charged, ${formatMorShort(charge)} MOR`,
      figures: {
        sessionId: current,
        epoch,
        chargedSeconds: state.chargedSeconds ?? 0,
        signedSeconds: state.seconds,
        chargeWei: charge.toString(),
      },
    };
  });
  return ended as unknown as EndedSession;
}

interface OpenSession {
  readonly sessionId: Hex;
  readonly weiPerSecond: string;
}

function checkCharge(state: SessionState, weiPerSecond: bigint): bigint {
  const charge = BigInt(state.charge ?? "0");
  const seconds = state.chargedSeconds ?? 0;
  verify(seconds > 0 && seconds <= state.seconds, "no more is charged than both have signed");
  verify(charge === BigInt(seconds) * weiPerSecond, "the charge is seconds times price");
  return charge;
}

const modelName = localTerms.model.replace(/:latest$/, "");
const prompt = "What does the router do?";
