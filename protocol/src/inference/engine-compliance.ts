/*
 * What every engine must do, as cases that any test runner can run. Each case says in its name what
 * it expects and throws where that does not hold.
 */
import { assert, LakeError } from "../errors.ts";
import type { Signal } from "../ports/clock.ts";
import type { Engine, Generation, GenerationEvent } from "./engine.ts";

/** One promise of the {@link Engine} port. */
export interface ComplianceCase {
  readonly name: string;
  run(engine: Engine): Promise<void>;
}

/** A signal that a case can fire. */
interface FiringSignal extends Signal {
  fire(): void;
}

/**
 * The promises that apply to an engine which has started, by what it says it can do.
 * `question` is a chat that it answers with at least 12 tokens.
 */
export function engineComplianceCases(
  engine: Engine,
  question: Extract<Generation, { kind: "chat" }>["request"],
): readonly ComplianceCase[] {
  const { capabilities } = engine.description;
  const chat = (changes: object = {}): Generation => ({
    kind: "chat",
    request: { ...question, ...changes },
  });
  const cases: ComplianceCase[] = [describesItself];
  if (capabilities.chat) cases.push(...generationCases(chat), ...stoppingCases(chat));
  if (capabilities.chat && engine.description.contextLength > 0) cases.push(contextCase(chat));
  if (capabilities.continues === true) cases.push(continuationCase(chat));
  if (capabilities.jsonSchema) cases.push(schemaCase(chat));
  if (capabilities.embeddings) cases.push(embeddingCase(question.model));
  if (capabilities.classify) cases.push(...classifyCases(question.model));
  cases.push(refusalCase(question.model, chat));
  return cases;
}

const describesItself: ComplianceCase = {
  name: "says what it is",
  run(engine) {
    const { engineClass, hardwareClass, slots, classifier } = engine.description;
    expect(/^[a-z0-9][a-z0-9._-]*$/.test(engineClass), "engineClass is a slug");
    expect(/^[a-z0-9][a-z0-9._-]*$/.test(hardwareClass), "hardwareClass is a slug");
    expect(slots >= 1, "there is a slot");
    expect(engine.description.capabilities.classify === (classifier !== undefined), "a classifier");
    expect(engine.trouble === undefined, "it is well");
    return Promise.resolve();
  },
};

type Chat = (changes?: object) => Generation;

function generationCases(chat: Chat): ComplianceCase[] {
  return [
    {
      name: "a generation is one prompt, deltas, one end, and its counts agree",
      async run(engine) {
        const events = await collect(engine, chat({ max_tokens: 12 }));
        const [first] = events;
        const last = events.at(-1);
        expect(first?.type === "prompt-read", "the prompt comes first");
        expect(last?.type === "generation-ended", "the end comes last");
        const deltas = events.slice(1, -1);
        expect(
          deltas.every(({ type }) => type === "token-delta"),
          "only deltas between",
        );
        expect(last?.type === "generation-ended" && last.completionTokens <= 12, "at most 12");
        expect(textOf(events) !== "", "there is text");
      },
    },
    {
      name: "max_tokens ends an answer with 'length'",
      async run(engine) {
        const events = await collect(engine, chat({ max_tokens: 3 }));
        const last = events.at(-1);
        expect(last?.type === "generation-ended" && last.finishReason === "length", "'length'");
      },
    },
    {
      name: "temperature 0 answers the same each time",
      async run(engine) {
        const once = textOf(await collect(engine, chat({ max_tokens: 12, temperature: 0 })));
        const again = textOf(await collect(engine, chat({ max_tokens: 12, temperature: 0 })));
        expect(once === again, "the same text");
      },
    },
    {
      name: "all slots at once give what one alone gives",
      async run(engine) {
        const request = chat({ max_tokens: 12, temperature: 0 });
        const alone = textOf(await collect(engine, request));
        const slots = Array.from({ length: Math.min(4, engine.description.slots + 1) });
        const texts = await Promise.all(slots.map(() => collect(engine, request)));
        expect(
          texts.every((events) => textOf(events).length > 0),
          "every one answered",
        );
        expect(
          texts.some((events) => textOf(events) === alone),
          "undisturbed",
        );
      },
    },
  ];
}

function stoppingCases(chat: Chat): ComplianceCase[] {
  return [
    {
      name: "a stop text ends the answer and is not shown",
      async run(engine) {
        const plain = textOf(await collect(engine, chat({ max_tokens: 12, temperature: 0 })));
        const stop = plain.trim().slice(4, 7);
        const cut = await collect(engine, chat({ max_tokens: 12, temperature: 0, stop }));
        const last = cut.at(-1);
        expect(!textOf(cut).includes(stop), "the stop text is not in the answer");
        expect(plain.startsWith(textOf(cut)), "what came before it is");
        expect(last?.type === "generation-ended" && last.finishReason === "stop", "'stop'");
      },
    },
    {
      name: "an aborted signal ends the generation with its reason",
      async run(engine) {
        const signal = createSignal();
        let deltas = 0;
        const error = await failureOf(async () => {
          for await (const event of engine.generate(chat(), signal)) {
            if (event.type !== "token-delta") continue;
            deltas += 1;
            if (deltas === 2) signal.fire();
          }
        });
        expect(error === signal.reason, "it throws the signal's reason");
        expect(deltas <= 4, "it stops at once");
      },
    },
    {
      name: "a reader that leaves its loop frees the slot",
      async run(engine) {
        for (let round = 0; round <= engine.description.slots; round += 1) {
          for await (const event of engine.generate(chat(), createSignal())) {
            if (event.type === "token-delta") break;
          }
        }
        const events = await collect(engine, chat({ max_tokens: 2 }));
        expect(events.at(-1)?.type === "generation-ended", "it still answers");
      },
    },
  ];
}

function contextCase(chat: Chat): ComplianceCase {
  return {
    name: "a prompt longer than the context is refused, and the next one answered",
    async run(engine) {
      const content = "word ".repeat(engine.description.contextLength * 2);
      const messages = [{ role: "user", content }];
      const error = await failureOf(() => collect(engine, chat({ messages })));
      expect(codeOf(error) === "context-length-exceeded", "context-length-exceeded");
      const events = await collect(engine, chat({ max_tokens: 2 }));
      expect(events.at(-1)?.type === "generation-ended", "it still answers");
    },
  };
}

function continuationCase(chat: Chat): ComplianceCase {
  return {
    name: "an answer that broke off goes on where it ended",
    async run(engine) {
      const fixed = { temperature: 0, max_tokens: 12 };
      const whole = textOf(await collect(engine, chat(fixed)));
      const begun = textOf(await collect(engine, chat({ ...fixed, max_tokens: 5 })));
      const { request } = chat() as Extract<Generation, { kind: "chat" }>;
      const messages = [...request.messages, { role: "assistant", content: begun }];
      const going = { messages, continue_final_message: true, add_generation_prompt: false };
      const rest = textOf(await collect(engine, chat({ ...fixed, ...going, max_tokens: 7 })));
      expect(begun + rest === whole, "only the new text, and the same as in one piece");
    },
  };
}

function schemaCase(chat: Chat): ComplianceCase {
  const schema = {
    type: "object",
    properties: { sunny: { type: "boolean" } },
    required: ["sunny"],
    additionalProperties: false,
  };
  return {
    name: "an answer under a JSON schema is JSON of that schema",
    async run(engine) {
      const format = { type: "json_schema", json_schema: { name: "weather", schema } };
      const events = await collect(engine, chat({ response_format: format, max_tokens: 64 }));
      const answer = JSON.parse(textOf(events)) as { sunny?: unknown };
      expect(typeof answer.sunny === "boolean", "the schema's field is there");
    },
  };
}

function embeddingCase(model: string): ComplianceCase {
  return {
    name: "embeddings: one vector for each text, equal for equal texts",
    async run(engine) {
      const input = ["a lake", "a river", "a lake"];
      const { vectors } = await engine.embed({ model, input }, createSignal());
      expect(vectors.length === 3, "three vectors");
      expect((vectors[0]?.length ?? 0) > 0, "not empty");
      const norm = Math.hypot(...(vectors[0] ?? []));
      const apart = Math.hypot(
        ...(vectors[0] ?? []).map((value, index) => value - (vectors[2]?.[index] ?? 0)),
      );
      expect(apart <= norm * 1e-3, "equal texts have equal vectors");
    },
  };
}

function classifyCases(model: string): ComplianceCase[] {
  const inputs = (engine: Engine, count: number): number[][] => {
    const sizes = engine.description.classifier?.inputShape ?? [];
    const length = sizes.reduce((product, size) => product * size, 1);
    return Array.from({ length: count }, (_, row) =>
      Array.from({ length }, (_value, at) => ((at * (row + 3)) % 7) / 7),
    );
  };
  return [
    {
      name: "each input has its own distribution over all labels, the same each time",
      async run(engine) {
        const input = inputs(engine, 3);
        const { labels, probabilities } = await engine.classify({ model, input }, createSignal());
        const again = await engine.classify({ model, input: input.slice(1) }, createSignal());
        expect(labels.length > 1, "there are labels");
        expect(probabilities.length === 3, "one row for each input");
        for (const row of probabilities) {
          const sum = row.reduce((total, value) => total + value, 0);
          expect(row.length === labels.length && Math.abs(sum - 1) < 1e-3, "a distribution");
        }
        const same = again.probabilities.every((row, index) =>
          row.every((value, at) => Math.abs(value - (probabilities[index + 1]?.[at] ?? -1)) < 1e-5),
        );
        expect(same, "whatever else is in the batch");
      },
    },
    {
      name: "an input of another size is refused, and the next one answered",
      async run(engine) {
        const short = inputs(engine, 1).map((row) => [...row, 0]);
        const error = await failureOf(() =>
          engine.classify({ model, input: short }, createSignal()),
        );
        expect(codeOf(error) === "model-input-invalid", "model-input-invalid");
        const input = inputs(engine, 1);
        const { probabilities } = await engine.classify({ model, input }, createSignal());
        expect(probabilities.length === 1, "it still answers");
      },
    },
  ];
}

function refusalCase(model: string, chat: Chat): ComplianceCase {
  return {
    name: "what it cannot do is the User's mistake, not its failure",
    async run(engine) {
      const { capabilities } = engine.description;
      const attempts = {
        chat: () => collect(engine, chat()),
        classify: () => engine.classify({ model, input: [[1, 2, 3]] }, createSignal()),
        embeddings: () => engine.embed({ model, input: ["a"] }, createSignal()),
      };
      for (const [name, attempt] of Object.entries(attempts)) {
        if (capabilities[name as keyof typeof attempts]) continue;
        const error = await failureOf(attempt);
        expect(codeOf(error) === "model-input-invalid", `${name} is refused`);
      }
    },
  };
}

async function collect(engine: Engine, generation: Generation): Promise<GenerationEvent[]> {
  const events: GenerationEvent[] = [];
  for await (const event of engine.generate(generation, createSignal())) events.push(event);
  return events;
}

function textOf(events: readonly GenerationEvent[]): string {
  return events.map((event) => (event.type === "token-delta" ? event.text : "")).join("");
}

async function failureOf(action: () => Promise<unknown>): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  return undefined;
}

function codeOf(error: unknown): string {
  return error instanceof LakeError ? error.code : String(error);
}

function createSignal(): FiringSignal {
  const listeners = new Set<() => void>();
  const reason = new LakeError("answer-interrupted", "The reader has left.");
  let aborted = false;
  return {
    reason,
    get aborted() {
      return aborted;
    },
    addEventListener: (_type, listener) => {
      listeners.add(listener);
    },
    removeEventListener: (_type, listener) => {
      listeners.delete(listener);
    },
    fire() {
      aborted = true;
      for (const listener of listeners) listener();
    },
  };
}

function expect(condition: boolean, promise: string): void {
  assert(condition, `an engine breaks its promise: ${promise}`);
}
