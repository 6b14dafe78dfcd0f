import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type ModelCost,
  type ModelDemand,
  type OwnModel,
  planModels,
  type PlanQuestion,
} from "./plan-models.ts";

const gb = 1e9;
const bounds = {
  modelsMax: 2,
  diskBytes: 20 * gb,
  memoryBytes: 16 * gb,
  slots: 4,
  floorWeiPerSecond: 10n,
};

function demand(model: string, changes: Partial<ModelDemand> = {}): ModelDemand {
  const sold = { secondsPerDay: 10_000, unservedSecondsPerDay: 0, weiPerSecond: 100n, sellers: 1 };
  return { model, ...sold, ...changes };
}

function cost(changes: Partial<ModelCost> = {}): ModelCost {
  return { bytes: 5 * gb, heldBytes: 0, memoryBytes: 6 * gb, lacks: [], ...changes };
}

function own(model: string, changes: Partial<OwnModel> = {}): OwnModel {
  const now = { isServed: true, isConfigured: false, openSessions: 0, usedSeconds: 0 };
  return { model, ...now, ...changes };
}

function check(question: Partial<PlanQuestion>, expected: readonly string[]): void {
  const whole = { demands: [], costs: new Map<string, ModelCost>(), own: [], bounds, ...question };
  const made = planModels(whole).map(({ action, model }) => `${action} ${model}`);
  assert.deepEqual(made, expected);
}

test("the best income per memory is served, the rest explained", () => {
  const demands = [demand("a"), demand("b", { secondsPerDay: 30_000 }), demand("c")];
  const costs = new Map([
    ["a", cost({ memoryBytes: 2 * gb })],
    ["b", cost()],
    ["c", cost()],
  ]);
  check({ demands, costs }, ["serve a", "serve b", "skip c"]);
});

test("unmet demand is income without a rival", () => {
  const demands = [demand("sold"), demand("unmet", { sellers: 0, unservedSecondsPerDay: 10_000 })];
  const costs = new Map(demands.map(({ model }) => [model, cost()]));
  check({ demands, costs, bounds: { ...bounds, modelsMax: 1 } }, ["serve unmet", "skip sold"]);
});

test("what does not fit, does not run or does not pay is skipped", () => {
  const demands = [
    demand("alien"),
    demand("cheap", { weiPerSecond: 9n }),
    demand("huge"),
    demand("wide"),
    demand("lost"),
  ];
  const costs = new Map([
    ["alien", cost({ lacks: ["It needs the instruction set amx."] })],
    ["cheap", cost()],
    ["huge", cost({ memoryBytes: 17 * gb })],
    ["wide", cost({ bytes: 21 * gb })],
  ]);
  check({ demands, costs }, ["skip alien", "skip cheap", "skip huge", "skip lost", "skip wide"]);
});

test("a configured model and one with an open Session stay, whatever they earn", () => {
  const demands = [demand("rich", { secondsPerDay: 1_000_000 })];
  const costs = new Map(["rich", "mine", "busy", "idle"].map((model) => [model, cost()]));
  const mine = own("mine", { isConfigured: true });
  const busy = own("busy", { openSessions: 1 });
  check({ demands, costs, own: [mine, busy, own("idle")] }, [
    "keep busy",
    "keep mine",
    "drop idle",
    "skip rich",
  ]);
});

test("a served model is not changed for one that pays a little more", () => {
  const costs = new Map(["old", "new"].map((model) => [model, cost()]));
  const one = { costs, own: [own("old")], bounds: { ...bounds, modelsMax: 1 } };
  const little = [demand("old"), demand("new", { secondsPerDay: 12_000 })];
  check({ ...one, demands: little }, ["keep old", "skip new"]);
  const much = [demand("old"), demand("new", { secondsPerDay: 13_000 })];
  check({ ...one, demands: much }, ["serve new", "drop old"]);
});

test("the disk is freed from what was used least", () => {
  const costs = new Map([
    ["new", cost({ bytes: 10 * gb })],
    ["seldom", cost({ heldBytes: 5 * gb })],
    ["often", cost({ heldBytes: 6 * gb })],
  ]);
  const lying = { isServed: false };
  const some = [
    own("seldom", { ...lying, usedSeconds: 1 }),
    own("often", { ...lying, usedSeconds: 9 }),
  ];
  check({ demands: [demand("new")], costs, own: some }, ["serve new", "forget seldom"]);
});

const names = ["a", "b", "c", "d", "e"] as const;

test("bounds hold, and nothing with an open Session is dropped or forgotten", () => {
  const size = fc.integer({ min: 1, max: 12 }).map((value) => value * gb);
  const question = fc.record({
    demands: fc.uniqueArray(
      fc.record({
        model: fc.constantFrom(...names),
        secondsPerDay: fc.nat(500_000),
        unservedSecondsPerDay: fc.nat(1_000),
        weiPerSecond: fc.bigInt({ min: 0n, max: 1_000n }),
        sellers: fc.nat(4),
      }),
      { selector: ({ model }) => model },
    ),
    sizes: fc.array(fc.tuple(size, size), { minLength: 5, maxLength: 5 }),
    own: fc.uniqueArray(
      fc.record({
        model: fc.constantFrom(...names),
        isServed: fc.boolean(),
        isConfigured: fc.boolean(),
        openSessions: fc.nat(2),
        usedSeconds: fc.nat(100),
      }),
      { selector: ({ model }) => model, maxLength: 1 },
    ),
  });
  fc.assert(
    fc.property(question, ({ demands, sizes, own: mine }) => {
      const costs = new Map<string, ModelCost>(
        names.map((model, index) => {
          const [bytes = 0, memoryBytes = 0] = sizes[index] ?? [];
          return [model, cost({ bytes, memoryBytes })];
        }),
      );
      const decisions = planModels({ demands, costs, own: mine, bounds });
      const isHeld = (model: string): boolean =>
        mine.some((each) => {
          const stays = each.isConfigured || each.openSessions > 0;
          return each.model === model && each.isServed && stays;
        });
      for (const { model, action } of decisions) {
        if (isHeld(model)) assert.equal(action, "keep");
      }
      const served = decisions.filter(({ action }) => action === "keep" || action === "serve");
      const chosen = served.filter(({ model }) => !isHeld(model));
      if (chosen.length === 0) return;
      const sum = (read: (each: ModelCost) => number): number =>
        served.reduce((total, { model }) => total + read(costs.get(model) ?? cost()), 0);
      assert.ok(served.length <= bounds.modelsMax);
      assert.ok(sum(({ memoryBytes }) => memoryBytes) <= bounds.memoryBytes);
      assert.ok(sum(({ bytes }) => bytes) <= bounds.diskBytes);
    }),
  );
});
