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
  if (capabilities.jsonSchema) cases.push(schemaCase(chat));
  if (capabilities.embeddings) cases.push(embeddingCase(question.model));
  cases.push(refusalCase(question.model));
  return cases;
}

const describesItself: ComplianceCase = {
  name: "says what it is",
  run(engine) {
    const { engineClass, hardwareClass, slots } = engine.description;
    expect(/^[a-z0-9][a-z0-9._-]*$/.test(engineClass), "engineClass is a slug");
    expect(/^[a-z0-9][a-z0-9._-]*$/.test(hardwareClass), "hardwareClass is a slug");
    expect(slots >= 1, "there is a slot");
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

function refusalCase(model: string): ComplianceCase {
  return {
    name: "what it cannot do is the User's mistake, not its failure",
    async run(engine) {
      const { classify, embeddings } = engine.description.capabilities;
      if (!classify) {
        const request = { model, input: [[1, 2, 3]] };
        const error = await failureOf(() => engine.classify(request, createSignal()));
        expect(codeOf(error) === "model-input-invalid", "classify is refused");
      }
      if (!embeddings) {
        const request = { model, input: ["a"] };
        const error = await failureOf(() => engine.embed(request, createSignal()));
        expect(codeOf(error) === "model-input-invalid", "embed is refused");
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
