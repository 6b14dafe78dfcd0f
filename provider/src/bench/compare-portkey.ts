/*
 * The Provider and Portkey's gateway as relays in front of the same server, in one run: how much
 * later a first token comes than straight from the server, and the processor time for each chunk.
 * The Provider is reached as Users reach it (TLS, a Session); Portkey as its users do (plain HTTP).
 */
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Figure, figureOf } from "./measure.ts";
import type { BenchProvider, BenchProviderReady } from "./provider-process.ts";
import { createStreamer } from "./stream-answer.ts";

/** What the comparison gave, and the peer's version. */
export interface PortkeyComparison {
  readonly version: string;
  readonly figures: readonly Figure[];
}

interface Relay {
  readonly child: ChildProcess;
  readonly ready: BenchProviderReady & { readonly version?: string };
  readonly stream: ReturnType<typeof createStreamer>;
}

const installer = fileURLToPath(new URL("../../../install/portkey.mjs", import.meta.url));
const cached = new URL("../../../node_modules/.cache/peers/portkey/node_modules/", import.meta.url);

/** Whether the peer is here already, so that a quick run needs no download. */
export function hasPortkey(): boolean {
  return existsSync(cached);
}

/** Runs the comparison; `rounds` turns of short answers, `chunks` of a long one. */
export async function comparePortkey(size: {
  readonly rounds: number;
  readonly chunks: number;
  readonly runs: number;
}): Promise<PortkeyComparison> {
  const output = execFileSync(process.execPath, [installer], { encoding: "utf8" });
  const folder = output.trim().split("\n").at(-1) ?? "";
  const upstream = await start("upstream-process.ts", "paced");
  const baseUrl = `${upstream.ready.url}/v1`;
  const options: BenchProvider = { engineUrl: baseUrl, slots: 4, tls: true };
  const provider = await start("provider-process.ts", JSON.stringify(options));
  const portkey = await start("portkey-process.ts", folder, {
    "x-portkey-provider": "openai",
    "x-portkey-custom-host": baseUrl,
  });
  const relays = { provider, portkey };
  const ttft = await addedTtft(size.rounds, { upstream, ...relays });
  const cpu = await cpuPerChunk(size, relays);
  for (const { child } of [upstream, provider, portkey]) child.disconnect();
  return { version: portkey.ready.version ?? "unknown", figures: [...ttft, ...cpu] };
}

const body = {
  model: "lake/travis-tiny",
  messages: [{ role: "user", content: "Hi" }],
  stream: true,
};

async function addedTtft(
  rounds: number,
  relays: { readonly upstream: Relay; readonly provider: Relay; readonly portkey: Relay },
): Promise<Figure[]> {
  const ask = async (relay: Relay): Promise<number> =>
    (await relay.stream({ ...body, max_tokens: 3 })).ttftMs;
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = -3; round < rounds; round += 1) {
    const straight = await ask(relays.upstream);
    const [provider, portkey] = [await ask(relays.provider), await ask(relays.portkey)];
    // The first ones warm all three up.
    if (round < 0) continue;
    ours.push(provider - straight);
    theirs.push(portkey - straight);
  }
  return [
    figureOf("added_ttft_vs_portkey", "ratio", ratiosOf(ours, theirs)),
    figureOf("relay_added_ttft_ms", "ms", ours),
    figureOf("portkey_added_ttft_ms", "ms", theirs),
  ];
}

async function cpuPerChunk(
  size: { readonly chunks: number; readonly runs: number },
  relays: { readonly provider: Relay; readonly portkey: Relay },
): Promise<Figure[]> {
  const measure = async (relay: Relay): Promise<number> => {
    const before = await cpuOf(relay.child);
    const { events } = await relay.stream({ ...body, max_tokens: size.chunks });
    if (events < size.chunks * 0.99) throw new Error(`only ${events} of ${size.chunks} chunks`);
    return ((await cpuOf(relay.child)) - before) / size.chunks;
  };
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let run = 0; run < size.runs; run += 1) {
    ours.push(await measure(relays.provider));
    theirs.push(await measure(relays.portkey));
  }
  return [
    figureOf("cpu_per_chunk_vs_portkey", "ratio", ratiosOf(ours, theirs)),
    figureOf("relay_cpu_per_chunk_us", "us", ours),
    figureOf("portkey_cpu_per_chunk_us", "us", theirs),
  ];
}

function ratiosOf(first: readonly number[], second: readonly number[]): number[] {
  return first.map((value, index) => value / (second[index] ?? NaN));
}

function cpuOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once("message", ({ cpu }: { cpu: NodeJS.CpuUsage }) => resolve(cpu.user + cpu.system));
    child.send("cpu");
  });
}

function start(
  file: string,
  argument: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Relay> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = fork(path, [argument], {
    env: { ...process.env, TRUSTED_CUSTOM_HOSTS: "127.0.0.1" },
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  return new Promise((resolve, reject) => {
    child.once("message", (ready: Relay["ready"]) =>
      resolve({ child, ready, stream: createStreamer(ready, headers) }),
    );
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code ?? "a signal"}`)));
  });
}
