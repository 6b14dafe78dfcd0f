/*
 * A seeded network of honest parties over one day, for the evaluation of verdicts. It knows nothing
 * of the method that judges it: it models people and machines. Durations are heavy-tailed and
 * differ by kind of model; hardware is mixed; Providers differ in distance, luck and age; Users
 * differ in how much, how patiently and how faithfully they use it, and some forget to close; the
 * day has a rhythm, and once a flash crowd meets one model and slows its Providers down.
 */
import type { CloseReason, JudgedRecord, Party } from "@lake-travis/protocol";
import { RandomStream } from "./random-stream.ts";

export type Kind = "chat" | "batch" | "classifier" | "agent";

export interface Model {
  readonly name: string;
  readonly digest: `0x${string}`;
  readonly kind: Kind;
  readonly builder: `0x${string}` | null;
  /** Relative size: divides speed, multiplies price and time to first token. */
  readonly size: number;
  readonly popularity: number;
  readonly builderShare: number;
}

export interface Hardware {
  readonly name: string;
  readonly speed: number;
  readonly price: number;
}

export interface Provider {
  readonly id: `0x${string}`;
  readonly hardware: Hardware;
  readonly models: readonly Model[];
  /** Its own lasting factors around 1. */
  readonly speed: number;
  readonly distance: number;
  readonly price: number;
  readonly goneRate: number;
  readonly failRate: number;
  /** Hour of the day from which it is there; above 0 for new ones. */
  readonly from: number;
  readonly isNew: boolean;
}

export interface User {
  readonly id: `0x${string}`;
  readonly kind: Kind;
  readonly sessions: number;
  readonly patience: number;
  /** Share of Sessions that go to the Provider that it knows. */
  readonly faith: number;
  readonly forgets: number;
  readonly vanishes: number;
}

export interface Network {
  readonly random: RandomStream;
  readonly models: readonly Model[];
  readonly providers: readonly Provider[];
  readonly users: readonly User[];
  readonly crowd: { readonly model: Model; readonly hour: number };
  readonly router: `0x${string}`;
  readonly epoch: number;
}

/** A Record with who was in bad faith, as the generator knows it. */
export interface Labelled {
  readonly record: JudgedRecord;
  /** The attack; `null` for honest; `"idle"` for what an attacker did without attacking. */
  readonly attack: string | null;
  readonly newProvider: boolean;
}

const hardwares: readonly Hardware[] = [
  { name: "cpu-x64-16", speed: 0.12, price: 0.15 },
  { name: "gpu-rtx-4090", speed: 1, price: 1 },
  { name: "gpu-l40s", speed: 1.3, price: 1.5 },
  { name: "gpu-h100-80gb", speed: 2.8, price: 3.4 },
];

const kinds: readonly Kind[] = ["chat", "batch", "classifier", "agent"];

/** Makes the parties of a network. */
export function makeNetwork(seed: number, scale = 1): Network {
  const random = new RandomStream(seed);
  const models = Array.from({ length: 12 }, (_, index) => makeModel(random, index));
  const providers = Array.from({ length: Math.ceil(70 * scale) }, () =>
    makeProvider(random, models),
  );
  const users = Array.from({ length: Math.ceil(2_200 * scale) }, () => makeUser(random));
  const crowd = { model: random.pick(models), hour: 9 + random.below(12) };
  return { random, models, providers, users, crowd, router: random.hex(20), epoch: 400 };
}

function makeModel(random: RandomStream, index: number): Model {
  const kind = kinds[[0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3][index] ?? 0] as Kind;
  return {
    name: `builder${index % 5}/${kind}-${index}:latest`,
    digest: random.hex(32),
    kind,
    builder: random.chance(0.8) ? random.hex(20) : null,
    size: kind === "classifier" ? 0.01 : random.spread(1, 0.7),
    popularity: 1 / (1 + random.below(8)),
    builderShare: 0.05 + 0.15 * random.unit(),
  };
}

/** A Provider as honest ones are. */
export function makeProvider(random: RandomStream, models: readonly Model[]): Provider {
  const isNew = random.chance(0.12);
  const count = 1 + random.below(3);
  const weights = models.map(({ popularity }) => popularity);
  const served = new Set(Array.from({ length: count }, () => models[random.weighted(weights)]));
  return {
    id: random.hex(20),
    hardware: hardwares[random.weighted([2, 5, 3, 3])] as Hardware,
    models: [...served] as Model[],
    speed: random.spread(1, 0.08),
    distance: random.spread(1, 0.35),
    price: random.spread(1, 0.15),
    goneRate: Math.min(0.03, random.spread(0.003, 0.8)),
    failRate: Math.min(0.06, random.spread(0.006, 0.8)),
    from: isNew ? 12 + random.below(10) : 0,
    isNew,
  };
}

/** A User as honest ones are. */
export function makeUser(random: RandomStream): User {
  return {
    id: random.hex(32),
    kind: kinds[random.weighted([6, 1.2, 0.8, 2])] as Kind,
    sessions: Math.min(400, Math.max(1, Math.floor(random.spread(3, 1.1)))),
    patience: random.spread(1, 0.5),
    faith: random.chance(0.35) ? 0.6 + 0.38 * random.unit() : 0.1 * random.unit(),
    forgets: random.chance(0.12) ? 0.25 * random.unit() : 0.005,
    vanishes: random.chance(0.05) ? 0.06 * random.unit() : 0.003,
  };
}

/** All Sessions of honest Users at honest Providers. */
export function honestRecords(network: Network, providers = network.providers): Labelled[] {
  const { random } = network;
  const labelled: Labelled[] = [];
  for (const user of network.users) {
    const known = new Map<Model, Provider>();
    for (let count = 0; count < user.sessions; count += 1) {
      const model = chooseModel(network, user.kind);
      const hour = chooseHour(random);
      labelled.push(...openAt(network, { user, model, hour, known, providers }));
    }
  }
  labelled.push(...flashCrowd(network, providers));
  return labelled;
}

interface Opening {
  readonly user: User;
  readonly model: Model;
  readonly hour: number;
  readonly known: Map<Model, Provider>;
  readonly providers: readonly Provider[];
}

function openAt(network: Network, opening: Opening): Labelled[] {
  const { user, model, hour, known } = opening;
  const provider = chooseProvider(network.random, opening);
  if (provider === undefined) return [];
  known.set(model, provider);
  const crowded = network.crowd.model === model && Math.floor(hour) === network.crowd.hour;
  const record = serve(network, { user, model, provider, hour, crowded });
  return [{ record, attack: null, newProvider: provider.isNew }];
}

function flashCrowd(network: Network, providers: readonly Provider[]): Labelled[] {
  const { random, crowd } = network;
  return Array.from({ length: 600 }, () => {
    const user = { ...makeUser(random), kind: crowd.model.kind };
    const hour = crowd.hour + random.unit();
    return openAt(network, { user, model: crowd.model, hour, known: new Map(), providers });
  }).flat();
}

function chooseModel({ random, models }: Network, kind: Kind): Model {
  const fitting = models.filter((model) => model.kind === kind);
  return fitting[random.weighted(fitting.map(({ popularity }) => popularity))] as Model;
}

function chooseHour(random: RandomStream): number {
  for (;;) {
    const hour = random.unit() * 24;
    if (random.unit() < 0.6 + 0.4 * Math.sin(((hour - 9) / 24) * 2 * Math.PI)) return hour;
  }
}

/** Mostly the cheap, sometimes the fast, often the one that is known. */
function chooseProvider(random: RandomStream, opening: Opening): Provider | undefined {
  const { user, model, hour, known } = opening;
  const before = known.get(model);
  if (before !== undefined && random.chance(user.faith)) return before;
  const open = opening.providers.filter(
    (provider) => provider.models.includes(model) && hour >= provider.from,
  );
  if (open.length === 0) return undefined;
  return open[random.weighted(open.map(({ price }) => price ** -4))];
}

/** What a Session is asked to be; attackers change parts of it. */
export interface Service {
  readonly user: User;
  readonly model: Model;
  readonly provider: Provider;
  readonly hour: number;
  readonly crowded?: boolean;
}

/** The plain figures of a Session before they become a Record. */
export interface Draft {
  requests: number;
  failed: number;
  tokens: number;
  ttftMs: number;
  tps: number;
  offeredTps: number;
  idleSeconds: number;
  endedBy: Party;
  endReason: CloseReason;
  challenges: number;
  passed: number;
  weiPerSecond: number;
  fundedBy: JudgedRecord["fundedBy"];
  maxSeconds: number;
  parallel: number;
  /** Seconds that somebody adds without work. */
  extraSeconds: number;
}

/** An honest Session as figures. */
export function draft(network: Network, service: Service): Draft {
  const { random } = network;
  const { user, model, provider } = service;
  const habits = habitsOf[model.kind];
  const peak = 1 - 0.12 * Math.max(0, Math.sin(((service.hour - 9) / 24) * 2 * Math.PI));
  const load = (service.crowded === true ? 0.72 : 1) * peak;
  const offeredTps = (45 * provider.hardware.speed * provider.speed) / model.size;
  const requests = Math.max(1, Math.round(random.spread(habits.requests, habits.requestsSpread)));
  const perRequest = random.spread(habits.tokens, habits.tokensSpread);
  let idleSeconds = 0;
  for (let request = 0; request < Math.min(requests, 40); request += 1) {
    idleSeconds += random.spread(habits.idle, 1.1) * user.patience;
  }
  idleSeconds *= requests / Math.min(requests, 40);
  let failed = 0;
  for (let request = 0; request < Math.min(requests, 60); request += 1) {
    if (random.chance(provider.failRate)) failed += 1;
  }
  const crowdDelay = service.crowded === true ? 3 : 1;
  const made: Draft = {
    requests,
    failed,
    tokens: model.kind === "classifier" ? requests : Math.ceil(requests * perRequest),
    ttftMs: (120 * model.size * provider.distance * random.spread(1, 0.35) * crowdDelay) / peak,
    tps: offeredTps * 1.04 * load * random.spread(1, 0.06),
    offeredTps,
    idleSeconds,
    endedBy: "user",
    endReason: "finished",
    challenges: 0,
    passed: 0,
    weiPerSecond: 3e14 * provider.hardware.price * provider.price * Math.sqrt(model.size + 0.1),
    fundedBy: (["allowance", "deposit", "both"] as const)[random.weighted([55, 38, 7])] ?? "both",
    maxSeconds: random.pick([600, 1200, 1800, 3600]),
    parallel: model.kind === "batch" || model.kind === "classifier" ? 1 + random.below(4) : 1,
    extraSeconds: 0,
  };
  endHonestly(random, made, service);
  return made;
}

const habitsOf = {
  chat: { requests: 5, requestsSpread: 0.9, tokens: 220, tokensSpread: 0.8, idle: 18 },
  batch: { requests: 50, requestsSpread: 1, tokens: 420, tokensSpread: 0.6, idle: 0.2 },
  classifier: { requests: 250, requestsSpread: 1.2, tokens: 1, tokensSpread: 0, idle: 0.08 },
  agent: { requests: 14, requestsSpread: 0.8, tokens: 520, tokensSpread: 0.7, idle: 5 },
} as const;

function endHonestly(random: RandomStream, made: Draft, { user, provider }: Service): void {
  const luck = random.unit();
  if (luck < 0.01) {
    // Opened, looked, and closed again.
    Object.assign(made, { requests: 0, failed: 0, tokens: 0, ttftMs: 0, idleSeconds: 12 });
  } else if (luck < 0.01 + provider.goneRate) {
    cut(random, made);
    Object.assign(made, { endedBy: "router", endReason: "provider-gone" });
  } else if (random.chance(user.vanishes)) {
    cut(random, made);
    Object.assign(made, { endedBy: "router", endReason: "ticks-missing" });
  } else if (random.chance(user.forgets)) {
    Object.assign(made, { endedBy: "provider", endReason: "idle" });
    made.extraSeconds += 60;
  } else if (random.chance(0.006)) {
    Object.assign(made, { endedBy: "provider", endReason: "shutting-down" });
  } else if (random.chance(0.15)) {
    Object.assign(made, { endReason: "idle" });
    made.extraSeconds += 20;
  }
}

/** Ends a Session somewhere in its middle. */
export function cut(random: RandomStream, made: Draft): void {
  const share = random.unit();
  made.requests = Math.floor(made.requests * share);
  made.tokens = Math.floor(made.tokens * share);
  made.idleSeconds *= share;
  made.failed += 1;
}

/** Serves a Session honestly. */
export function serve(network: Network, service: Service): JudgedRecord {
  return recordOf(network, service, draft(network, service));
}

/** The Record of a Session's figures. */
export function recordOf(network: Network, service: Service, made: Draft): JudgedRecord {
  const { random } = network;
  const { model, provider, user } = service;
  const working = (made.tokens / made.tps + (made.requests * made.ttftMs) / 1000) / made.parallel;
  const wanted = working + made.idleSeconds + made.extraSeconds;
  const cutShort = wanted > made.maxSeconds;
  const share = cutShort ? made.maxSeconds / wanted : 1;
  const seconds = Math.ceil(Math.min(wanted, made.maxSeconds));
  const asked = Math.floor(seconds / 300 + random.unit() * 0.9);
  const passed = made.passed < 0 ? 0 : asked;
  const unlucky = random.chance(0.006 * asked) ? 1 : 0;
  const tokens = Math.floor(made.tokens * share);
  const builderWei = model.builder === null ? 0 : made.weiPerSecond * model.builderShare;
  return {
    sessionId: random.hex(32),
    epoch: network.epoch,
    model: model.name,
    manifestDigest: model.digest,
    provider: provider.id,
    builder: model.builder,
    router: network.router,
    user: user.id,
    openedAt: Math.floor((network.epoch * 24 + service.hour) * 60) * 60_000,
    seconds,
    tokens,
    requestsAnswered: tokens === 0 && made.tokens > 0 ? 0 : Math.ceil(made.requests * share),
    requestsFailed: made.failed,
    ttftMs: Math.round(made.ttftMs),
    milliTps: tokens === 0 ? 0 : Math.round(made.tps * 1000),
    offeredMilliTps: Math.round(made.offeredTps * 1000),
    weiPerSecond: BigInt(Math.round(made.weiPerSecond)).toString(),
    builderWeiPerSecond: BigInt(Math.round(builderWei)).toString(),
    fundedBy: made.fundedBy,
    endedBy: cutShort && made.endedBy === "user" ? "router" : made.endedBy,
    endReason: cutShort && made.endedBy === "user" ? "time-reached" : made.endReason,
    hardwareClass: provider.hardware.name,
    challengesAsked: asked,
    challengesPassed: Math.max(0, passed - unlucky),
  };
}
