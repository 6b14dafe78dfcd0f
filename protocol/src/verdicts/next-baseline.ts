import { type Baseline, type BaselineGroup, verdictRules } from "./baseline.ts";
import { type EpochEvidence, lineTotal } from "./epoch-evidence.ts";
import { bit } from "./fixed-log.ts";
import { verdictLimits } from "./limits.ts";
import { excludedFrom } from "./rules.ts";

/** What an epoch hands to the next; its groups already hold the baseline before. */
export function nextBaseline(options: {
  readonly epoch: number;
  readonly before: Baseline;
  readonly evidence: EpochEvidence;
  /** The Provider of each line. */
  readonly providers: readonly string[];
  /** Evidence by line that its pairs give. */
  readonly paired: Float64Array;
}): Baseline {
  const { epoch, evidence } = options;
  return {
    rules: verdictRules,
    epoch,
    groups: fadedGroups(evidence),
    rates: evidence.rates.network.map(([happened, of]) => [faded(happened), faded(of)] as const),
    providers: histories(options),
  };
}

/** Three quarters remain, so that a baseline remembers about four epochs. */
function faded(count: number): number {
  return Math.floor((count * 3) / 4);
}

function fadedGroups(evidence: EpochEvidence): BaselineGroup[] {
  const groups = [...evidence.groups].map(([key, all]) => {
    const counts: (readonly [number, number])[] = [];
    let weight = 0;
    all.forEach((count, place) => {
      const left = faded(count);
      if (left > 0) counts.push([place, left]);
      weight += left;
    });
    return { key, counts, weight };
  });
  return groups
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight || (a.key < b.key ? -1 : 1))
    .slice(0, verdictLimits.baselineGroupsMax)
    .map(({ key, counts }) => ({ key, counts }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

function histories(options: Parameters<typeof nextBaseline>[0]): Baseline["providers"] {
  const now = new Map<string, number>();
  options.providers.forEach((provider, line) => {
    const found = Math.max(lineTotal(options.evidence, line), options.paired[line] as number);
    now.set(provider, Math.max(now.get(provider) ?? 0, found));
  });
  const next = new Map(
    options.before.providers.map((each) => [each.provider, each.suspicion >> 1]),
  );
  for (const [provider, found] of now) {
    // Only what made a party lose its say is remembered; it fades by half with each epoch.
    if (found < excludedFrom) continue;
    const gained = Math.floor((found * 100) / bit) >> 1;
    next.set(provider, Math.min(suspicionMax, (next.get(provider) ?? 0) + gained));
  }
  return [...next]
    .map(([provider, suspicion]) => ({ provider, suspicion }))
    .filter(({ suspicion }) => suspicion >= suspicionMin)
    .sort((a, b) => b.suspicion - a.suspicion || (a.provider < b.provider ? -1 : 1))
    .slice(0, verdictLimits.baselineProvidersMax)
    .sort((a, b) => (a.provider < b.provider ? -1 : 1));
}

const suspicionMax = 4_000;
const suspicionMin = 50;
