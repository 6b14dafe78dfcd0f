import type { StatusReport } from "./status-report.ts";

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  readonly samples: readonly Sample[];
}

/** Wei of MOR as a float of MOR, which is what Prometheus can hold. */
const weiPerMor = 1e18;

/** Everything that Prometheus may know, in its text format. No Session id, no User, no prompt. */
export function metricsPage(report: StatusReport): string {
  const families = [...nodeFamilies(report), ...modelFamilies(report), ...sumFamilies(report)];
  return `${families.flatMap(linesOf).join("\n")}\n`;
}

function nodeFamilies({ node, machine, problems }: StatusReport): readonly Family[] {
  const gauge = (name: string, help: string, value: number): Family => ({
    name: `lake_provider_${name}`,
    help,
    type: "gauge",
    samples: [{ value }],
  });
  return [
    gauge("start_time_seconds", "When this process began to serve.", node.startedAt / 1_000),
    gauge("router_heard", "1 while the Router answers Heartbeats.", Number(node.isRouterHeard)),
    gauge("sessions", "Sessions open now.", node.sessions.length),
    gauge("problems", "Red lines of 'lake provider status'.", problems.length),
    gauge("disk_free_bytes", "Free on the data folder's disk.", machine.diskFreeBytes),
    gauge("memory_free_bytes", "Memory that programs can still have.", machine.memoryFreeBytes),
    gauge("process_memory_bytes", "Resident memory, engines excluded.", machine.processBytes),
  ];
}

function modelFamilies({ node }: StatusReport): readonly Family[] {
  const gauge = (
    name: string,
    help: string,
    read: (model: StatusReport["node"]["models"][number]) => number,
  ): Family => ({
    name: `lake_provider_model_${name}`,
    help,
    type: "gauge",
    samples: node.models.map((model) => ({ labels: { model: model.model }, value: read(model) })),
  });
  return [
    gauge("slots", "Sessions that fit at once.", ({ slots }) => slots),
    gauge("sessions", "Sessions open now.", ({ openSessions }) => openSessions),
    gauge("requests_running", "Requests being answered.", ({ running }) => running),
    gauge("requests_waiting", "Requests waiting for a slot.", ({ waiting }) => waiting),
    gauge("offered", "1 while its Offer stands.", ({ isOffered }) => Number(isOffered)),
    gauge("offer_held", "1 while the Router holds it.", (model) => Number(model.isHeldByRouter)),
    gauge("engine_up", "0 while its engine is in trouble.", (model) =>
      Number(model.trouble === null),
    ),
    gauge("tokens_per_second", "Offered per Session, all slots busy.", (model) => {
      return model.offeredMilliTps / 1_000;
    }),
    gauge("ttft_seconds", "Measured at load.", ({ ttftMs }) => ttftMs / 1_000),
    gauge("price_mor_per_hour", "What this Provider asks.", ({ weiPerSecond }) => {
      return (Number(weiPerSecond) * 3_600) / weiPerMor;
    }),
  ];
}

// Ended Sessions from the ledger and open ones together, so that a counter never falls at an end.
function sumFamilies({ node, earnings }: StatusReport): readonly Family[] {
  const models = new Set([
    ...earnings.map(({ model }) => model),
    ...node.sessions.map(({ model }) => model),
    ...node.models.map(({ model }) => model),
  ]);
  const counter = (
    name: string,
    help: string,
    read: (row: StatusReport["earnings"][number]) => number,
    open: (session: StatusReport["node"]["sessions"][number]) => number,
  ): Family => ({
    name: `lake_provider_${name}_total`,
    help,
    type: "counter",
    samples: [...models].map((model) => {
      const ended = earnings.filter((row) => row.model === model);
      const running = node.sessions.filter((row) => row.model === model && row.closing === null);
      const value =
        ended.reduce((sum, row) => sum + read(row), 0) +
        running.reduce((sum, row) => sum + open(row), 0);
      return { labels: { model }, value };
    }),
  });
  const none = (): number => 0;
  return [
    counter("sessions_ended", "Sessions that have ended.", ({ sessions }) => sessions, none),
    counter("session_seconds", "Seconds of ended Sessions charged.", (row) => row.seconds, none),
    counter("earned_mor", "MOR earned by own count.", (row) => Number(row.wei) / weiPerMor, none),
    counter(
      "tokens",
      "Tokens made for Users.",
      ({ tokens }) => tokens,
      ({ tokens }) => tokens,
    ),
    counter(
      "requests_answered",
      "Requests answered.",
      (row) => row.requestsAnswered,
      (row) => row.requestsAnswered,
    ),
    counter(
      "requests_failed",
      "Requests that the engine failed.",
      (row) => row.requestsFailed,
      (row) => row.requestsFailed,
    ),
  ];
}

function linesOf({ name, help, type, samples }: Family): readonly string[] {
  const lines = samples.map(({ labels = {}, value }) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
    return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`;
  });
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines];
}

function escapeLabel(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}
