import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, describe, test } from "node:test";
import assert from "node:assert/strict";
import { type Engine, engineComplianceCases } from "@lake-travis/protocol/inference";
import { systemClock } from "@lake-travis/platform";
import { OpenAiServer } from "../test-support/openai-server.ts";
import { SimulatedEngine } from "../test-support/simulated-engine.ts";
import { createEngineChild } from "./create-engine-child.ts";
import { OnnxEngine } from "./onnx-engine.ts";
import { LlamaEngine } from "./llama-engine.ts";
import { OpenAiEngine } from "./openai-engine.ts";

const assets = fileURLToPath(new URL("../../../assets/models/", import.meta.url));
const modelPath = join(assets, "lake-travis-tiny-q8_0.gguf");
const digitsPath = join(assets, "digits.onnx");
const options = { modelPath, slots: 2, gpu: false } as const;

const engines: readonly (readonly [string, () => Engine])[] = [
  ["simulated", () => new SimulatedEngine({ slots: 2, tokens: 40 })],
  ["llama.cpp in process", () => new LlamaEngine(options)],
  ["a server by its URL", () => serverEngine()],
  ["llama.cpp in a child", () => createEngineChild(options, systemClock)],
  ["ONNX Runtime in process", () => new OnnxEngine({ modelPath: digitsPath, slots: 2 })],
  [
    "ONNX Runtime in a child",
    () => createEngineChild({ modelPath: digitsPath, slots: 2 }, systemClock),
  ],
  ["a package by its name", () => packageEngine("lake-slogan-engine")],
];

const ownersFolder = mkdtempSync(join(tmpdir(), "lake-packages-"));
after(() => rmSync(ownersFolder, { recursive: true }));

/** A package as its Provider's owner has installed it into the data folder. */
function packageEngine(name: string): Engine {
  mkdirSync(join(ownersFolder, "node_modules"), { recursive: true });
  const module = new URL("../test-support/slogan-engine/create-engine.ts", import.meta.url);
  symlinkSync(dirname(fileURLToPath(module)), join(ownersFolder, "node_modules", name));
  return createEngineChild({ ...options, package: { name, folder: ownersFolder } }, systemClock);
}

/** A server with a real model behind it; it starts and stops with the engine that talks to it. */
function serverEngine(): Engine {
  const server = new OpenAiServer(new LlamaEngine(options));
  class ServedEngine extends OpenAiEngine {
    override async stop(): Promise<void> {
      await super.stop();
      await server.stop();
    }
  }
  return {
    get description() {
      return need().description;
    },
    get trouble() {
      return need().trouble;
    },
    onTrouble: (listener) => need().onTrouble(listener),
    generate: (generation, signal) => need().generate(generation, signal),
    embed: (request, signal) => need().embed(request, signal),
    classify: (request) => need().classify(request),
    async start() {
      await server.start();
      const { baseUrl, apiKey } = server;
      inner = new ServedEngine({ baseUrl, apiKey, slots: 2 }, systemClock);
      await inner.start();
    },
    stop: () => need().stop(),
  };
}

let inner: OpenAiEngine | undefined;

function need(): OpenAiEngine {
  assert.ok(inner !== undefined);
  return inner;
}

const question = {
  model: "lake/travis-tiny",
  messages: [{ role: "user", content: "What is Lake Travis?" }],
} as const;

for (const [name, create] of engines) {
  describe(name, async () => {
    const engine = create();
    // Which promises apply depends on what a running engine says of itself.
    await engine.start();
    after(() => engine.stop());
    for (const promise of engineComplianceCases(engine, question)) {
      test(promise.name, () => promise.run(engine));
    }
  });
}

test("a suite that finds nothing wrong is no suite: a broken engine fails it", async () => {
  class SilentEngine extends SimulatedEngine {
    override async *generate(): AsyncGenerator<never> {
      // Breaks every promise about generation.
    }
  }
  const engine = new SilentEngine();
  await engine.start();
  const cases = engineComplianceCases(engine, question);
  const results = await Promise.allSettled(cases.map((promise) => promise.run(engine)));
  assert.ok(results.filter(({ status }) => status === "rejected").length >= 4);
});

test("a slot given back while others generate is free at once", async () => {
  const engine = new LlamaEngine(options);
  await engine.start();
  const signal = new AbortController().signal;
  const endless = { ...question, ignore_eos: true, max_tokens: 400 };
  const busy = (async () => {
    for await (const event of engine.generate({ kind: "chat", request: endless }, signal)) {
      if (event.type === "generation-ended") return;
    }
  })();
  const short = { ...question, max_tokens: 2 };
  let isBusy = true;
  void busy.then(() => {
    isBusy = false;
  });
  for (let round = 0; round < 4; round += 1) {
    for await (const event of engine.generate({ kind: "chat", request: short }, signal)) {
      assert.ok(event.type !== "generation-ended" || isBusy, "it did not wait for the other one");
    }
  }
  await busy;
  await engine.stop();
});
