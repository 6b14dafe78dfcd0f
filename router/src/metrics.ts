import type { RouterState } from "./core/state.ts";
import type { Effect } from "./core/events.ts";

/**
 * Upper bounds of the RFC histogram in milliseconds: from a cached connection to a liveness check.
 */
const rfcBoundsMs = [1, 2, 5, 10, 20, 50, 100, 250, 500, 1_000, 2_500, 10_000, 60_000] as const;

/** Counts what the Router does, in the text form that Prometheus reads. */
export class Metrics {
  readonly #refusals = new Map<string, number>();
  readonly #effects = new Map<string, number>();
  readonly #endings = new Map<string, number>();
  readonly #rfcBuckets = new Array<number>(rfcBoundsMs.length + 1).fill(0);
  #rfcMs = 0;
  #rfcs = 0;

  /** Counts a refused request by its code. */
  countRefusal(code: string): void {
    count(this.#refusals, code);
  }

  /** Counts what the state machine did. */
  countEffect(effect: Effect): void {
    count(this.#effects, effect.type);
    if (effect.type === "session-ended") count(this.#endings, effect.reason);
  }

  /** Notes how long a granted RFC took, from its body to its Ticket. */
  observeRfc(ms: number): void {
    const index = rfcBoundsMs.findIndex((bound) => ms <= bound);
    const bucket = index === -1 ? rfcBoundsMs.length : index;
    this.#rfcBuckets[bucket] = (this.#rfcBuckets[bucket] ?? 0) + 1;
    this.#rfcMs += ms;
    this.#rfcs += 1;
  }

  /** Everything, for `GET /metrics`. */
  text(state: RouterState): string {
    const queued = [...state.lines.values()].reduce((sum, line) => sum + line.length, 0);
    return [
      ...gauge("lake_router_epoch", "Epoch that Tickets are given for.", state.openEpoch),
      ...gauge("lake_router_sessions", "Sessions without a Record yet.", state.sessions.size),
      ...gauge("lake_router_rfcs_queued", "RFCs that wait for a slot.", queued),
      ...gauge("lake_router_offers", "Offers held.", state.offers.size),
      ...gauge("lake_router_providers", "Providers known.", state.providers.size),
      ...gauge("lake_router_memory_bytes", "Resident memory.", process.memoryUsage.rss()),
      ...counters("lake_router_events_total", "What happened.", "event", this.#effects),
      ...counters("lake_router_refusals_total", "Requests refused.", "code", this.#refusals),
      ...counters("lake_router_endings_total", "Sessions ended.", "reason", this.#endings),
      ...this.#rfcHistogram(),
      "",
    ].join("\n");
  }

  #rfcHistogram(): string[] {
    const name = "lake_router_rfc_seconds";
    let sum = 0;
    const buckets = rfcBoundsMs.map((bound, index) => {
      sum += this.#rfcBuckets[index] ?? 0;
      return `${name}_bucket{le="${bound / 1000}"} ${sum}`;
    });
    return [
      `# HELP ${name} From an RFC's body to its durable Ticket.`,
      `# TYPE ${name} histogram`,
      ...buckets,
      `${name}_bucket{le="+Inf"} ${this.#rfcs}`,
      `${name}_sum ${this.#rfcMs / 1000}`,
      `${name}_count ${this.#rfcs}`,
    ];
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function gauge(name: string, help: string, value: number): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name} ${value}`];
}

function counters(
  name: string,
  help: string,
  label: string,
  counts: ReadonlyMap<string, number>,
): string[] {
  const lines = [...counts].map(([key, value]) => `${name}{${label}="${key}"} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} counter`, ...lines];
}
