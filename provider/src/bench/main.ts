/*
 * `npm run bench -w provider -- [engine|relay|portkey] [--json] [--quick]`
 *
 * engine: the same tiny model through the Provider (its own process, TLS, a Session, the engine in
 * a child) and used directly in a process that does nothing else. relay: events of an engine that
 * needs no time, through the Provider and piped by plain node:http. portkey: as a relay beside
 * Portkey's gateway; a quick run leaves it out where the gateway has not been fetched yet.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { comparePortkey, hasPortkey } from "./compare-portkey.ts";
import { DirectLlama } from "./direct-llama.ts";
import { type Figure, figureOf, ratios, turnByTurn, workHash } from "./measure.ts";
import type { BenchProvider, BenchProviderReady } from "./provider-process.ts";
import { createStreamer } from "./stream-answer.ts";

const args = process.argv.slice(2);
const isQuick = args.includes("--quick");
const isJson = args.includes("--json");
const wanted = args.find((arg) => !arg.startsWith("--"));

const modelPath = fileURLToPath(
  new URL("../../../assets/models/lake-travis-tiny-q8_0.gguf", import.meta.url),
);
const model = "lake/travis-tiny";
const question = "What is Lake Travis?";
const prompt = `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`;
const streamsMax = 16;

interface Result {
  readonly bench: string;
  readonly workHash: string;
  readonly figures: readonly Figure[];
}

const benches: Readonly<Record<string, () => Promise<Result>>> = { engine, relay, portkey };
const all = Object.keys(benches).filter((name) => name !== "portkey" || !isQuick || hasPortkey());
const chosen = wanted === undefined ? all : [wanted];
const results: Result[] = [];
for (const name of chosen) {
  const run = benches[name];
  if (run === undefined) throw new Error(`There is no bench named ${name}.`);
  results.push(await run());
}
report(results);
process.exit(0);

function report(all: readonly Result[]): void {
  const figures = all.flatMap((result) => result.figures);
  if (isJson) {
    const hash = all.length === 1 ? all[0]?.workHash : workHash(...all.map((r) => r.workHash));
    const bench = all.length === 1 ? all[0]?.bench : "provider/all";
    console.log(JSON.stringify({ bench, workHash: hash, figures }));
    return;
  }
  for (const { name, value, unit, runs, min, max } of figures) {
    console.log(`${name}: ${value} ${unit} (${min} to ${max} in ${runs} runs)`);
  }
}

async function engine(): Promise<Result> {
  const tokens = isQuick ? 24 : 200;
  const runs = isQuick ? 2 : 9;
  const direct = new DirectLlama(modelPath, streamsMax);
  const provider = await start("provider-process.ts", { modelPath, slots: streamsMax, tls: true });
  const stream = createStreamer(provider.ready);
  const body = {
    model,
    messages: [{ role: "user", content: question }],
    temperature: 0,
    max_tokens: tokens,
    ignore_eos: true,
    stream: true,
  };
  const through = async (streams: number): Promise<number> => {
    const begun = performance.now();
    const answers = await Promise.all(Array.from({ length: streams }, () => stream(body)));
    // Head, end and [DONE] are no tokens, and a token without text is no event.
    if (answers.some(({ events }) => events < tokens / 2)) throw new Error("tokens are missing");
    return (streams * tokens) / ((performance.now() - begun) / 1_000);
  };
  const plain = async (streams: number): Promise<number> =>
    (await direct.run({ streams, tokens, prompt })).tokensPerSecond;
  const text = (await direct.run({ streams: 1, tokens: 24, prompt })).text;
  const same = (await stream({ ...body, max_tokens: 24 }, true)).text;
  if (text !== same) throw new Error(`not the same work: '${text}' and '${same}'`);
  await through(streamsMax);
  await plain(streamsMax);
  const figures = [
    figureOf(
      "tps_ratio_1",
      "ratio",
      ratios(
        await turnByTurn(
          runs,
          () => through(1),
          () => plain(1),
        ),
      ),
    ),
    figureOf(
      "tps_ratio_16",
      "ratio",
      ratios(
        await turnByTurn(
          runs,
          () => through(streamsMax),
          () => plain(streamsMax),
        ),
      ),
    ),
    await addedTtft(stream, direct, body),
  ];
  direct.stop();
  provider.child.disconnect();
  return { bench: "provider/engine", workHash: workHash(text, String(tokens)), figures };
}

async function addedTtft(
  stream: ReturnType<typeof createStreamer>,
  direct: DirectLlama,
  body: object,
): Promise<Figure> {
  const times = await turnByTurn(
    isQuick ? 5 : 60,
    async () => (await stream({ ...body, max_tokens: 4 })).ttftMs,
    async () => (await direct.run({ streams: 1, tokens: 4, prompt })).ttftMs,
  );
  const added = times.first.map((ms, index) => ms - (times.second[index] ?? 0));
  return figureOf("added_ttft_ms", "ms", added);
}

async function relay(): Promise<Result> {
  const tokens = isQuick ? 2_000 : 30_000;
  const runs = isQuick ? 2 : 9;
  const provider = await start("provider-process.ts", { slots: streamsMax, tls: false, tokens });
  const pipe = await start("pipe-process.ts", tokens);
  const body = { model, messages: [{ role: "user", content: question }], stream: true };
  const rate = (ready: BenchProviderReady): (() => Promise<number>) => {
    const stream = createStreamer(ready);
    return async () => {
      const run = await stream(body);
      // An event whose first bytes lie in two pieces is not counted.
      if (run.events < tokens * 0.99) throw new Error(`only ${run.events} events came`);
      return tokens / run.ms;
    };
  };
  const [throughProvider, piped] = [rate(provider.ready), rate(pipe.ready)];
  await throughProvider();
  await piped();
  const results = await turnByTurn(runs, throughProvider, piped);
  provider.child.disconnect();
  pipe.child.disconnect();
  const perMs = [...results.first].sort((a, b) => a - b);
  return {
    bench: "provider/relay",
    workHash: workHash(String(tokens)),
    figures: [
      figureOf("relay_vs_pipe", "ratio", ratios(results)),
      figureOf(
        "relay_events_per_s",
        "1/s",
        perMs.map((value) => value * 1_000),
      ),
      figureOf(
        "pipe_events_per_s",
        "1/s",
        results.second.map((value) => value * 1_000),
      ),
    ],
  };
}

async function portkey(): Promise<Result> {
  const size = isQuick
    ? { rounds: 3, chunks: 100, runs: 2 }
    : { rounds: 60, chunks: 2_000, runs: 9 };
  const { version, figures } = await comparePortkey(size);
  if (!isJson) console.log(`Portkey's gateway ${version}`);
  return { bench: "provider/portkey", workHash: workHash(version, String(size.chunks)), figures };
}

function start(
  file: string,
  options: BenchProvider | number,
): Promise<{ readonly child: ChildProcess; readonly ready: BenchProviderReady }> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = fork(path, [JSON.stringify(options)], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  return new Promise((resolve, reject) => {
    child.once("message", (ready: BenchProviderReady) => resolve({ child, ready }));
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code ?? "a signal"}`)));
  });
}
