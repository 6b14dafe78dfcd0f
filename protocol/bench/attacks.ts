/*
 * Attackers of each kind that the network knows of, at a strength from 0 to 1. Those called
 * `...-aware` know how verdicts are found and try to stay below them: they cheat in part of their
 * Sessions, throttle to the usual speed, keep the real model's file to pass challenges, or share
 * their Sessions among several pseudonyms.
 */
import {
  cut,
  type Draft,
  draft,
  honestRecords,
  type Labelled,
  makeProvider,
  makeUser,
  type Model,
  type Network,
  type Provider,
  recordOf,
  type Service,
  serve,
  type User,
} from "./honest-network.ts";

/** The Records of a network with one kind of attacker in it. */
export type Attack = (network: Network, strength: number) => Labelled[];

/** How a dishonest Provider serves; returns whether it cheated in this Session. */
type Cheat = (network: Network, made: Draft, strength: number) => boolean;

const between = (strength: number, full: number): number => full ** strength;

const cheats: Readonly<Record<string, Cheat>> = {
  "padded-time": (_, made, strength) => pad(made, between(strength, 4)),
  "padded-time-aware": ({ random }, made, strength) =>
    random.chance(0.5) && pad(made, between(strength, 3)),
  "stalled-service": ({ random }, made, strength) => {
    if (!random.chance(0.8 * strength)) return false;
    made.requests = Math.max(1, Math.ceil(made.requests * 0.2));
    made.tokens = Math.ceil(made.tokens * 0.05);
    made.failed += 1;
    made.tps *= 0.5;
    made.ttftMs *= 4;
    made.extraSeconds += 60 + 200 * random.unit();
    return true;
  },
  "empty-service": ({ random }, made, strength) => {
    if (!random.chance(strength)) return false;
    made.tokens = random.chance(0.7) ? 0 : made.requests;
    return true;
  },
  "weaker-model": ({ random }, made, strength) => {
    if (!random.chance(strength)) return false;
    weaken(made, 0.7);
    made.tps *= 1.9;
    made.offeredTps *= 1.9;
    made.ttftMs *= 0.5;
    made.passed = -1;
    return true;
  },
  "weaker-model-aware": ({ random }, made, strength) => {
    if (!random.chance(strength)) return false;
    weaken(made, 0.6);
    return true;
  },
  "speed-claims": (_, made, strength) => {
    made.offeredTps *= between(strength, 2.5);
    return true;
  },
  "speed-claims-aware": ({ random }, made, strength) => {
    // Serves half of its Sessions as promised, to keep its median in order.
    if (random.chance(0.5)) return false;
    made.tps /= between(strength, 2);
    return true;
  },
  "ghost-capacity": ({ random }, made, strength) => {
    if (!random.chance(0.75)) return false;
    made.tps *= 1 - 0.6 * strength;
    made.ttftMs *= 1 + 5 * strength;
    if (random.chance(0.5 * strength)) {
      cut(random, made);
      Object.assign(made, { endedBy: "router", endReason: "provider-gone" });
    } else made.failed += random.chance(0.6 * strength) ? 1 + random.below(3) : 0;
    return true;
  },
};

/** All attacks by name; the fault is the Provider's, but for those of `userAttacks`. */
export const attacks: Readonly<Record<string, Attack>> = {
  ...Object.fromEntries(
    Object.entries(cheats).map(([name, cheat]) => [name, byCheat(name, cheat)]),
  ),
  "wash-user": washUser,
  "wash-builder": washBuilder,
  "wash-sybil-aware": washSybil,
  "hit-and-run": byUsers("hit-and-run", (network, made, strength) => {
    if (!network.random.chance(0.9 * strength)) return false;
    Object.assign(made, { endedBy: "router", endReason: "ticks-missing" });
    return true;
  }),
  "withheld-close": byUsers("withheld-close", (network, made, strength) => {
    if (!network.random.chance(0.9 * strength)) return false;
    Object.assign(made, { endedBy: "router", endReason: "idle" });
    made.extraSeconds += 60;
    return true;
  }),
  flooding: (network, strength) =>
    flood(network, { name: "flooding", users: 2, sessions: 300 * strength, strength }),
  "flooding-aware": (network, strength) =>
    flood(network, { name: "flooding-aware", users: 12, sessions: 50 * strength, strength }),
};

/** Attacks by Users. */
export const userAttacks: ReadonlySet<string> = new Set([
  "hit-and-run",
  "withheld-close",
  "flooding",
  "flooding-aware",
]);

function pad(made: Draft, factor: number): boolean {
  const working = made.tokens / made.tps / made.parallel + made.idleSeconds;
  made.extraSeconds += working * (factor - 1);
  return true;
}

function weaken(made: Draft, share: number): void {
  // Worse answers are shorter, and whoever gets them leaves sooner.
  made.tokens = Math.ceil(made.tokens * share * share);
  made.idleSeconds *= share;
  made.requests = Math.max(1, Math.round(made.requests * share));
}

/** Three of the honest Providers turn bad: one with much business, two by chance. */
function byCheat(name: string, cheat: Cheat): Attack {
  return (network, strength) => {
    const bad = new Set(network.providers.filter(({ isNew }) => !isNew).slice(0, 3));
    const byId = new Map([...bad].map((provider) => [provider.id as string, provider]));
    const users = new Map(network.users.map((user) => [user.id as string, user]));
    return honestRecords(network).map((each) => {
      const provider = byId.get(each.record.provider);
      const model = network.models.find(({ digest }) => digest === each.record.manifestDigest);
      if (provider === undefined || model === undefined) return each;
      const user = users.get(each.record.user) ?? makeUser(network.random);
      const hour = (each.record.openedAt / 3_600_000) % 24;
      const service = { user: { ...user, id: each.record.user }, model, provider, hour };
      const made = draft(network, service);
      const cheated = cheat(network, made, strength);
      const record = recordOf(network, service, made);
      return { record, attack: cheated ? name : "idle", newProvider: false };
    });
  };
}

/** Twelve Users behave badly beside the honest ones, at whichever Providers they get. */
function byUsers(name: string, cheat: Cheat): Attack {
  return (network, strength) => {
    const { random } = network;
    const labelled = honestRecords(network);
    for (let count = 0; count < 12; count += 1) {
      const user: User = { ...makeUser(random), sessions: 4 + random.below(12) };
      for (let session = 0; session < user.sessions; session += 1) {
        const service = anyService(network, user);
        const made = draft(network, service);
        const cheated = cheat(network, made, strength);
        const record = recordOf(network, service, made);
        labelled.push({ record, attack: cheated ? name : "idle", newProvider: false });
      }
    }
    return labelled;
  };
}

function flood(
  network: Network,
  options: {
    readonly name: string;
    readonly users: number;
    readonly sessions: number;
    readonly strength: number;
  },
): Labelled[] {
  const { random } = network;
  const labelled = honestRecords(network);
  for (let count = 0; count < options.users; count += 1) {
    const user = makeUser(random);
    for (let session = 0; session < options.sessions; session += 1) {
      const service = anyService(network, user);
      const made = draft(network, service);
      const some = random.chance(1 - 0.5 * options.strength);
      made.requests = some ? 1 : 0;
      made.tokens = some ? 1 + random.below(12) : 0;
      made.idleSeconds = random.unit() * 4;
      made.failed = random.chance(0.2) ? 1 : 0;
      made.extraSeconds = 0;
      Object.assign(made, { endedBy: "user", endReason: "finished" });
      const record = recordOf(network, service, made);
      labelled.push({ record, attack: options.name, newProvider: false });
    }
  }
  return labelled;
}

/** One User that is its Provider's own: long, idle Sessions paid from allowances. */
function washUser(network: Network, strength: number): Labelled[] {
  const labelled = honestRecords(network);
  for (const provider of newcomers(network, 2)) {
    const user = makeUser(network.random);
    const own = ownService(network, provider, user, provider.models[0] as Model);
    // At half strength it has as much honest business beside it.
    addHonestBusiness(network, labelled, provider, Math.round(40 * (1 - strength)));
    for (let session = 0; session < 16 + 32 * strength; session += 1) {
      const made = draft(network, own());
      made.idleSeconds = made.idleSeconds + (made.maxSeconds - made.idleSeconds) * 0.9 * strength;
      made.requests = Math.max(1, Math.round(made.requests * (1 - 0.7 * strength)));
      made.tokens = Math.ceil(made.tokens * (1 - 0.7 * strength));
      made.fundedBy = "allowance";
      Object.assign(made, { endedBy: "user", endReason: "finished" });
      const record = recordOf(network, own(), made);
      labelled.push({ record, attack: "wash-user", newProvider: false });
    }
  }
  return labelled;
}

/** A Builder that serves its own model to its own Users, at a price of its own. */
function washBuilder(network: Network, strength: number): Labelled[] {
  const { random } = network;
  const labelled = honestRecords(network);
  const base = random.pick(network.models.filter(({ kind }) => kind !== "classifier"));
  const model: Model = {
    ...base,
    name: "washer/own:latest",
    digest: random.hex(32),
    builder: random.hex(20),
    builderShare: 1.5 * strength + 0.15,
  };
  const [provider] = newcomers(network, 1, [model]) as [Provider];
  for (let count = 0; count < 3; count += 1) {
    const user = makeUser(random);
    const own = ownService(network, provider, user, model);
    for (let session = 0; session < 24; session += 1) {
      const made = draft(network, own());
      made.idleSeconds += made.maxSeconds * 0.8 * strength * random.unit();
      made.weiPerSecond *= between(strength, 2.2);
      made.tokens = Math.ceil(made.tokens * (1 - 0.6 * strength));
      made.fundedBy = "allowance";
      Object.assign(made, { endedBy: "user", endReason: "finished" });
      const record = recordOf(network, own(), made);
      labelled.push({ record, attack: "wash-builder", newProvider: false });
    }
  }
  return labelled;
}

/** Several pseudonyms of one owner, real work, market price: only who meets whom gives it away. */
function washSybil(network: Network, strength: number): Labelled[] {
  const { random } = network;
  const labelled = honestRecords(network);
  for (const provider of newcomers(network, 2)) {
    for (let count = 0; count < 6; count += 1) {
      const user = makeUser(random);
      const own = ownService(network, provider, user, provider.models[0] as Model);
      for (let session = 0; session < 8; session += 1) {
        // At half strength half of its Sessions go to other Providers, like anybody's.
        const elsewhere = random.chance(1 - strength);
        const service = elsewhere ? anyService(network, user) : own();
        const made = draft(network, service);
        made.fundedBy = "allowance";
        const record = recordOf(network, service, made);
        labelled.push({
          record,
          attack: elsewhere ? "idle" : "wash-sybil-aware",
          newProvider: false,
        });
      }
    }
    addHonestBusiness(network, labelled, provider, Math.round(12 * (2 - strength)));
  }
  return labelled;
}

function newcomers(network: Network, count: number, models = network.models): Provider[] {
  return Array.from({ length: count }, () => ({
    ...makeProvider(network.random, models),
    from: 0,
    isNew: false,
  }));
}

function ownService(network: Network, provider: Provider, user: User, model: Model): () => Service {
  return () => ({ user, model, provider, hour: network.random.unit() * 24 });
}

function addHonestBusiness(
  network: Network,
  labelled: Labelled[],
  provider: Provider,
  sessions: number,
): void {
  for (let session = 0; session < sessions; session += 1) {
    const user = network.random.pick(network.users);
    const model = network.random.pick(provider.models);
    const record = serve(network, { user, model, provider, hour: network.random.unit() * 24 });
    labelled.push({ record, attack: "idle", newProvider: false });
  }
}

function anyService(network: Network, user: User): Service {
  const { random, models } = network;
  for (;;) {
    const model = random.pick(models.filter(({ kind }) => kind === user.kind));
    const fitting = network.providers.filter((provider) => provider.models.includes(model));
    if (fitting.length === 0) continue;
    return { user, model, provider: random.pick(fitting), hour: 12 + random.unit() * 12 };
  }
}
