/*
 * Which models to serve with this machine. Pure: what is known goes in, a decision with its reason
 * for every model comes out.
 *
 * Method: a model's income is what its Sessions pay a day at the price that we would ask, divided
 * among its sellers and us, at most what our slots can serve. The best income per byte of memory
 * goes first, as memory is what runs out. A model that is served already counts a quarter more, so
 * that small changes of demand do not load and unload for ever.
 */

import { formatSize } from "./status-report.ts";

/** What a model sells for, as the Router's public record tells. */
export interface ModelDemand {
  /** `builder/name:tag`. */
  readonly model: string;
  /** Session-seconds that were charged a day, all Providers together. */
  readonly secondsPerDay: number;
  /** Seconds a day that Users asked for and did not get, as far as it is published. */
  readonly unservedSecondsPerDay: number;
  /** What Providers got for a second, on average by seconds; 0 where none was sold. */
  readonly weiPerSecond: bigint;
  /** Providers that offer it now, without us. */
  readonly sellers: number;
}

/** What a model takes. */
export interface ModelCost {
  /** Bytes of its files, and those of them that are on this disk. */
  readonly bytes: number;
  readonly heldBytes: number;
  readonly memoryBytes: number;
  /** Why this machine cannot serve it; empty where it can. */
  readonly lacks: readonly string[];
}

/** A model that is served now or lies on the disk. */
export interface OwnModel {
  readonly model: string;
  readonly isServed: boolean;
  /** Named by the owner, so it stays whatever it earns. */
  readonly isConfigured: boolean;
  readonly openSessions: number;
  /** Seconds of its Sessions so far, by our own ledger. */
  readonly usedSeconds: number;
}

/** Bounds of the owner and the machine. */
export interface PlanBounds {
  readonly modelsMax: number;
  readonly diskBytes: number;
  readonly memoryBytes: number;
  readonly slots: number;
  /** Never ask less than this; 0 for no floor. */
  readonly floorWeiPerSecond: bigint;
}

/** What to do with one model. */
export interface ModelDecision {
  readonly model: string;
  /** `forget` frees the disk of a model that is not served. */
  readonly action: "keep" | "serve" | "drop" | "skip" | "forget";
  readonly reason: string;
  readonly weiPerDay: bigint;
  /** What to ask where it is served from now on. */
  readonly weiPerSecond: bigint;
}

/** Everything that a plan is made from. */
export interface PlanQuestion {
  readonly demands: readonly ModelDemand[];
  readonly costs: ReadonlyMap<string, ModelCost>;
  readonly own: readonly OwnModel[];
  readonly bounds: PlanBounds;
}

const secondsPerDay = 86_400;
/** What is served already is preferred by so much. */
const incumbentPercent = 125n;

interface Candidate {
  readonly model: string;
  readonly cost: ModelCost;
  readonly own: OwnModel | undefined;
  readonly weiPerDay: bigint;
  readonly weiPerSecond: bigint;
}

interface Room {
  models: number;
  memoryBytes: number;
  diskBytes: number;
}

/** Decides about every model that is in demand, served, or on the disk. */
export function planModels(question: PlanQuestion): readonly ModelDecision[] {
  const { bounds } = question;
  const decisions: ModelDecision[] = [];
  const room: Room = {
    models: bounds.modelsMax,
    memoryBytes: bounds.memoryBytes,
    diskBytes: bounds.diskBytes,
  };
  const candidates = candidatesOf(question, decisions);
  const held = candidates.filter(({ own: mine }) => mayNotLeave(mine));
  for (const candidate of held) {
    take(room, candidate.cost);
    decisions.push(decide(candidate, "keep", whyHeld(candidate.own)));
  }
  const others = candidates.filter((candidate) => !held.includes(candidate));
  for (const candidate of others.sort(byIncome)) {
    decisions.push(decideByRoom(candidate, room));
  }
  decisions.push(...forgotten(question, decisions, room));
  return decisions.sort((a, b) => (a.model < b.model ? -1 : 1)).sort(byAction);
}

function candidatesOf(question: PlanQuestion, decisions: ModelDecision[]): Candidate[] {
  const { bounds, costs, demands, own } = question;
  const served = own.filter(({ isServed }) => isServed).map(({ model }) => model);
  const names = new Set([...demands.map(({ model }) => model), ...served]);
  const candidates: Candidate[] = [];
  for (const model of names) {
    const demand = demands.find((each) => each.model === model);
    const mine = own.find((each) => each.model === model);
    const income = incomeOf(demand, bounds);
    const cost = costs.get(model);
    const skip = (reason: string): void => {
      decisions.push({ model, action: "skip", reason, ...income });
    };
    if (cost === undefined) skip("nobody was found who holds its manifest");
    else if (mayNotLeave(mine)) candidates.push({ model, cost, own: mine, ...income });
    else if (cost.lacks.length > 0) skip(cost.lacks.join(" "));
    else candidates.push({ model, cost, own: mine, ...income });
  }
  return candidates;
}

function incomeOf(
  demand: ModelDemand | undefined,
  { floorWeiPerSecond: floor, slots }: PlanBounds,
): Pick<Candidate, "weiPerDay" | "weiPerSecond"> {
  if (demand === undefined) return { weiPerDay: 0n, weiPerSecond: floor };
  const { secondsPerDay: sold, sellers, unservedSecondsPerDay, weiPerSecond: market } = demand;
  // Where nothing was sold there is no price but the owner's own.
  const weiPerSecond = market === 0n ? floor : market;
  if (weiPerSecond < floor) return { weiPerDay: 0n, weiPerSecond: floor };
  const share = (sold + unservedSecondsPerDay) / (sellers + 1);
  const seconds = Math.floor(Math.min(share, slots * secondsPerDay));
  return { weiPerDay: weiPerSecond * BigInt(seconds), weiPerSecond };
}

function mayNotLeave(own: OwnModel | undefined): boolean {
  return own?.isServed === true && (own.isConfigured || own.openSessions > 0);
}

function whyHeld(own: OwnModel | undefined): string {
  if (own?.isConfigured === true) return "its owner configured it";
  return `${own?.openSessions ?? 0} Sessions of it are open`;
}

function decideByRoom(candidate: Candidate, room: Room): ModelDecision {
  const isServed = candidate.own?.isServed === true;
  const refuse = (reason: string): ModelDecision =>
    decide(candidate, isServed ? "drop" : "skip", reason);
  if (candidate.weiPerDay === 0n) return refuse("nobody pays the floor for it");
  if (room.models < 1) return refuse("others pay better, and no more models are allowed");
  const { bytes, memoryBytes } = candidate.cost;
  if (memoryBytes > room.memoryBytes) {
    return refuse(
      `it needs ${formatSize(memoryBytes)} of memory; ${formatSize(room.memoryBytes)} left`,
    );
  }
  if (bytes > room.diskBytes) {
    return refuse(`it needs ${formatSize(bytes)} of disk; ${formatSize(room.diskBytes)} left`);
  }
  take(room, candidate.cost);
  const reason = isServed ? "it still pays best" : "it pays best for what it takes";
  return decide(candidate, isServed ? "keep" : "serve", reason);
}

// Models that only lie on the disk go, the least used first, until what is served has its room.
function forgotten(
  { costs, own }: PlanQuestion,
  decisions: readonly ModelDecision[],
  room: Room,
): readonly ModelDecision[] {
  const stays = new Set(
    decisions.filter(({ action }) => action === "keep" || action === "serve").map((d) => d.model),
  );
  const lying = own
    .filter(({ model, isServed, isConfigured }) => {
      return !isServed && !isConfigured && !stays.has(model);
    })
    .sort((a, b) => b.usedSeconds - a.usedSeconds);
  const gone: ModelDecision[] = [];
  for (const { model } of lying) {
    const bytes = costs.get(model)?.heldBytes ?? 0;
    if (bytes <= room.diskBytes) room.diskBytes -= bytes;
    else {
      const reason = "its disk space is needed and it was used least";
      gone.push({ model, action: "forget", reason, weiPerDay: 0n, weiPerSecond: 0n });
    }
  }
  return gone;
}

function take(room: Room, { bytes, memoryBytes }: ModelCost): void {
  room.models -= 1;
  room.memoryBytes -= memoryBytes;
  room.diskBytes -= bytes;
}

function decide(
  candidate: Candidate,
  action: ModelDecision["action"],
  reason: string,
): ModelDecision {
  const { model, weiPerDay, weiPerSecond } = candidate;
  return { model, action, reason, weiPerDay, weiPerSecond };
}

function byIncome(a: Candidate, b: Candidate): number {
  const left = rated(a) * BigInt(Math.max(1, b.cost.memoryBytes));
  const right = rated(b) * BigInt(Math.max(1, a.cost.memoryBytes));
  if (left !== right) return left > right ? -1 : 1;
  return (b.own?.usedSeconds ?? 0) - (a.own?.usedSeconds ?? 0) || (a.model < b.model ? -1 : 1);
}

function rated({ own, weiPerDay }: Candidate): bigint {
  return own?.isServed === true ? (weiPerDay * incumbentPercent) / 100n : weiPerDay;
}

const order = ["keep", "serve", "drop", "forget", "skip"] as const;

function byAction(a: ModelDecision, b: ModelDecision): number {
  return order.indexOf(a.action) - order.indexOf(b.action);
}
