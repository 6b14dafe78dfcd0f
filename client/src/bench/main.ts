/*
 * `npm run bench -w client -- [--json] [--quick]`
 *
 * The same client asks the same engine server straight, through `lake up` and a Provider with an
 * open Session, and (where it is installed, or in a full run) through Portkey's gateway, turn by
 * turn. Each is a process of its own; the Provider is reached over TLS. `cold_open` is a request to
 * a node without a Session, less the same request with one: what opening costs on one machine.
 */
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { LakeUpOrder } from "./lake-up-process.ts";
import { type Figure, figureOf, pairwise, turnByTurn, workHash } from "./measure.ts";
import { type ChatServer, createChatStreamer, type StreamedChat } from "./stream-chat.ts";

const args = process.argv.slice(2);
const isQuick = args.includes("--quick");
const isJson = args.includes("--json");
const root = fileURLToPath(new URL("../../..", import.meta.url));
const modelPath = `${root}assets/models/lake-travis-tiny-q8_0.gguf`;
const portkeyFolder = `${root}node_modules/.cache/peers/portkey/node_modules/@portkey-ai/gateway`;
const model = "lake/travis-tiny:latest";
const streamsMax = 16;
const children: ChildProcess[] = [];

type Ask = (body: object) => Promise<StreamedChat>;

interface Relay {
  readonly ask: Ask;
  readonly version?: string;
}

const tokens = isQuick ? 16 : 200;
const body = {
  model,
  messages: [{ role: "user", content: "What is Lake Travis?" }],
  temperature: 0,
  max_tokens: tokens,
  ignore_eos: true,
};

try {
  await measure();
} finally {
  for (const child of children) if (child.connected) child.disconnect();
}
process.exit(0);

async function measure(): Promise<void> {
  const engine = await start<ChatServer>("provider/src/bench/engine-server-process.ts", [
    modelPath,
    String(streamsMax),
  ]);
  const rig = await start<LakeUpOrder>("provider/src/bench/client-rig-process.ts", [
    JSON.stringify({ engineUrl: engine.url, engineKey: engine.token, model, slots: streamsMax }),
  ]);
  const lakeUp = await start<ChatServer>("client/src/bench/lake-up-process.ts", [
    JSON.stringify(rig),
  ]);
  const straight = createChatStreamer(engine);
  const through = createChatStreamer(lakeUp);
  const [expected, same] = [await straight(body), await through(body)];
  if (expected.text !== same.text) throw new Error("the two did not do the same work");
  const portkey = await startPortkey(engine);
  await portkey?.ask(body);
  const figures = [
    ...(await speed(straight, through)),
    ...(await firstTokens(straight, through, portkey)),
    ...(await coldOpen(lakeUp, through)),
  ];
  report(figures, workHash(expected.text, String(tokens)), portkey?.version);
}

/** Tokens per second through everything, as a share of what the engine server gives straight. */
async function speed(straight: Ask, through: Ask): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const streams of [1, streamsMax]) {
    const rate = (ask: Ask) => async () => {
      const begun = performance.now();
      await Promise.all(Array.from({ length: streams }, () => ask(body)));
      return (streams * tokens) / ((performance.now() - begun) / 1_000);
    };
    const things = { through: rate(through), straight: rate(straight) };
    await turnByTurn(1, things);
    const runs = await turnByTurn(isQuick ? 2 : 9, things);
    const ratios = pairwise(runs.through, runs.straight, (a, b) => a / b);
    figures.push(figureOf(`tps_ratio_${streams}`, "ratio", ratios));
    figures.push(figureOf(`tps_straight_${streams}`, "1/s", runs.straight));
  }
  return figures;
}

async function firstTokens(
  straight: Ask,
  through: Ask,
  portkey: Relay | undefined,
): Promise<Figure[]> {
  const short = { ...body, max_tokens: 4 };
  const ttft = (ask: Ask) => async () => (await ask(short)).ttftMs;
  const none = (): Promise<number> => Promise.resolve(NaN);
  const things = {
    straight: ttft(straight),
    through: ttft(through),
    portkey: portkey === undefined ? none : ttft(portkey.ask),
  };
  await turnByTurn(3, things);
  const runs = await turnByTurn(isQuick ? 5 : 100, things);
  const added = (times: number[]): number[] => pairwise(times, runs.straight, (a, b) => a - b);
  const ours = figureOf("added_ttft_ms", "ms", added(runs.through));
  if (portkey === undefined) return [ours];
  const theirs = figureOf("portkey_added_ttft_ms", "ms", added(runs.portkey));
  // Of medians: single differences come near zero, where a ratio means nothing.
  const ratio = figureOf("added_ttft_vs_portkey", "ratio", [ours.value / theirs.value]);
  return [ours, theirs, { ...ratio, runs: ours.runs }];
}

async function coldOpen(lakeUp: ChatServer, through: Ask): Promise<Figure[]> {
  const short = { ...body, max_tokens: 1 };
  const sessions = lakeUp.url.replace(/\/v1$/, "/lake/v1/sessions");
  const closeAll = async (): Promise<void> => {
    const open = (await (await fetch(sessions)).json()) as { sessions: { sessionId: string }[] };
    const ids = open.sessions.map(({ sessionId }) => sessionId);
    await Promise.all(ids.map((id) => fetch(`${sessions}/${id}`, { method: "DELETE" })));
  };
  const cold: number[] = [];
  const warm: number[] = [];
  for (let run = 0; run < (isQuick ? 3 : 40); run += 1) {
    await closeAll();
    cold.push((await through(short)).ms);
    warm.push((await through(short)).ms);
  }
  return [
    figureOf(
      "cold_open_ms",
      "ms",
      pairwise(cold, warm, (a, b) => a - b),
    ),
  ];
}

/** Portkey as a relay in front of the same server; a quick run does not download it. */
async function startPortkey(engine: ChatServer): Promise<Relay | undefined> {
  if (isQuick && !existsSync(portkeyFolder)) return undefined;
  const printed = execFileSync(process.execPath, [`${root}install/portkey.mjs`]).toString();
  const folder = printed.trim().split("\n").at(-1) ?? "";
  const file = "provider/src/bench/portkey-process.ts";
  const ready = await start<ChatServer & { version: string }>(file, [folder], {
    TRUSTED_CUSTOM_HOSTS: "127.0.0.1",
  });
  const headers = { "x-portkey-provider": "openai", "x-portkey-custom-host": engine.url };
  const server = { url: `${ready.url}/v1`, token: engine.token, headers };
  return { ask: createChatStreamer(server), version: ready.version };
}

function start<Ready>(
  file: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ready> {
  const child = fork(`${root}${file}`, argv, {
    env: { ...process.env, ...env },
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once("message", (ready) => resolve(ready as Ready));
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code ?? "a signal"}`)));
  });
}

function report(figures: readonly Figure[], hash: string, version: string | undefined): void {
  const peer = version === undefined ? {} : { peers: { portkey: version } };
  if (isJson) {
    console.log(JSON.stringify({ bench: "client/all", workHash: hash, figures, ...peer }));
    return;
  }
  for (const { max, min, name, runs, unit, value } of figures) {
    console.log(`${name}: ${value} ${unit} (${min} to ${max} in ${runs} runs)`);
  }
}
