import { formatHandle, formatMorShort, LakeError, parseHandle } from "@lake-travis/protocol";
import { createHttpClient } from "@lake-travis/platform";
import {
  describeMachine,
  fitMachine,
  listModels,
  modelBytes,
  pullModel,
  type PullPlan,
  removeModel,
} from "@lake-travis/registry";
import type { ModelPlan } from "../prepare-model.ts";
import { nameOf } from "./follow-prices.ts";
import { operateLimits } from "./limits.ts";
import {
  type ModelCost,
  type ModelDecision,
  type OwnModel,
  planModels,
  type PlanBounds,
} from "./plan-models.ts";
import type { ProviderConfig } from "./provider-config.ts";
import type { Follower, ProviderService } from "./provider-service.ts";
import { readDemand } from "./read-demand.ts";
import { table } from "./status-report.ts";

/** Serves what pays best for this machine, and changes that as demand changes. */
export function createDemandFollower(service: ProviderService): Follower {
  const http = createHttpClient({ unreachable: "router-unreachable" });
  const costs = new Map<string, ModelCost>();
  return {
    everyMs: operateLimits.followDemandMs,
    stop: () => http.close(),
    async look(signal) {
      const decisions = await planFor(service, { http, costs, signal });
      for (const decision of decisions) {
        if (signal.aborted) return;
        await carryOutDecision(service, decision, costs);
      }
    },
  };
}

/** What would be done now, with the reason for each model. */
export async function explainDemand(service: ProviderService): Promise<string> {
  const http = createHttpClient({ unreachable: "router-unreachable" });
  try {
    const { signal } = service.options;
    const decisions = await planFor(service, { http, costs: new Map(), signal });
    if (decisions.length === 0) return "Nothing is asked for and nothing is served.";
    const served = service.isServing ? service.node.snapshot().models : [];
    const own = new Map(served.map((each) => [each.model, BigInt(each.weiPerSecond)]));
    return table(
      ["DO", "MODEL", "MOR/DAY", "ASK MOR/H", "BECAUSE"],
      decisions.map(({ action, model, reason, weiPerDay, weiPerSecond }) => [
        action,
        model,
        formatMorShort(weiPerDay),
        formatMorShort((own.get(model) ?? weiPerSecond) * 3_600n),
        reason,
      ]),
    ).join("\n");
  } finally {
    await http.close();
  }
}

interface PlanParts {
  readonly http: ReturnType<typeof createHttpClient>;
  readonly costs: Map<string, ModelCost>;
  readonly signal: AbortSignal;
}

async function planFor(
  service: ProviderService,
  { http, costs, signal }: PlanParts,
): Promise<readonly ModelDecision[]> {
  const { config, routerUrl } = service.options;
  const demands = await readDemand(http, routerUrl, config.account);
  const own = await ownModels(service, config);
  for (const model of new Set([...demands, ...own].map((each) => each.model))) {
    if (costs.has(model) || signal.aborted) continue;
    const cost = await costOf(service, model, signal);
    if (cost !== undefined) costs.set(model, cost);
  }
  return planModels({ demands, costs, own, bounds: await boundsOf(config) });
}

async function boundsOf({ demand }: ProviderConfig): Promise<PlanBounds> {
  const { ramBytes } = await describeMachine();
  return {
    modelsMax: demand.modelsMax,
    diskBytes: demand.diskBytes,
    // A quarter stays for the system, the file cache and this process.
    memoryBytes: demand.memoryBytes ?? Math.floor((ramBytes * 3) / 4),
    slots: demand.slots,
    floorWeiPerSecond: demand.weiPerSecond ?? 0n,
  };
}

async function ownModels(
  service: ProviderService,
  config: ProviderConfig,
): Promise<readonly OwnModel[]> {
  const configured = new Set(config.models.map(nameOf));
  const served = service.isServing ? service.node.snapshot().models : [];
  const used = new Map<string, number>();
  for (const { model, seconds } of service.earnings) {
    used.set(model, (used.get(model) ?? 0) + seconds);
  }
  const names = new Set(served.map(({ model }) => model));
  const own: OwnModel[] = served.map(({ model, openSessions }) => ({
    model,
    isServed: true,
    isConfigured: configured.has(model),
    openSessions,
    usedSeconds: used.get(model) ?? 0,
  }));
  for (const { name, tag, origin } of await listModels(service.storage.store)) {
    const model = `${name}:${tag}`;
    if (names.has(model) || origin !== "pulled") continue;
    own.push({
      model,
      // Before a start, what is configured counts as served.
      isServed: !service.isServing && configured.has(model),
      isConfigured: configured.has(model),
      openSessions: 0,
      usedSeconds: used.get(model) ?? 0,
    });
  }
  return own;
}

/** What a model takes by its manifest; undefined where nobody holds that, or the name is gone. */
async function costOf(
  service: ProviderService,
  handle: string,
  signal: AbortSignal,
): Promise<ModelCost | undefined> {
  const seen: PullPlan[] = [];
  try {
    await pullModel({
      node: service.storage,
      names: service.names,
      handle,
      holders: service.holders,
      signal,
      onPlan: (plan) => {
        seen.push(plan);
        throw onlyLooking;
      },
    });
  } catch (error) {
    if (error !== onlyLooking && !(error instanceof LakeError)) throw error;
  }
  const [plan] = seen;
  if (plan === undefined) return undefined;
  const { needs } = plan.manifest.facts;
  const { runs, lacks } = fitMachine(needs, await describeMachine());
  const engine = servable.has(needs.engine) && plan.manifest.facts.kind === "model";
  return {
    bytes: modelBytes(plan.manifest),
    heldBytes: plan.heldBytes,
    memoryBytes: needs.ramBytes,
    lacks: engine ? (runs ? [] : lacks) : [`No engine of this Provider runs ${needs.engine}.`],
  };
}

/** Engines that are here without anybody having configured them. */
const servable = new Set(["llama.cpp", "onnxruntime"]);

/** Ends a pull once its plan is known: nothing but the manifest has come by then. */
const onlyLooking = new Error("only the manifest was wanted");

async function carryOutDecision(
  service: ProviderService,
  decision: ModelDecision,
  costs: Map<string, ModelCost>,
): Promise<void> {
  const { action, model, reason, weiPerSecond } = decision;
  const { config, logger } = service.options;
  if (action === "skip") return;
  if (action === "keep") {
    await service.node.offerAgain(model);
    return;
  }
  logger.info({ model, action, reason }, "following demand");
  if (action === "drop") await service.removeModel(model);
  else if (action === "forget") {
    const { builder, name, tag } = parseHandle(model);
    await removeModel(service.storage.store, { name: `${builder}/${name}`, tag });
  } else {
    try {
      await service.addModel(planToServe(model, weiPerSecond, config));
    } catch (error) {
      if (!(error instanceof LakeError)) throw error;
      // Tried again after a restart only: the next look would fail the same, at the same cost.
      const known = costs.get(model) ?? { bytes: 0, heldBytes: 0, memoryBytes: 0 };
      costs.set(model, { ...known, lacks: [`Its start failed here: ${error.message}`] });
      logger.warn({ model, code: error.code }, `not served: ${error.message}`);
    }
  }
}

function planToServe(model: string, weiPerSecond: bigint, config: ProviderConfig): ModelPlan {
  const { slots } = config.demand;
  const handle = formatHandle(parseHandle(model));
  return { model: handle, weiPerSecond, minSeconds: 1, slots, gpu: config.gpu, engine: undefined };
}
