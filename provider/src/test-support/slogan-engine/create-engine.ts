import type { Engine, EngineDescription, GenerationEvent } from "@lake-travis/protocol/inference";

const slogan = "Fair winds, deep water and twelve words for whoever asks this lake.";

/** An engine as somebody else might publish it: one module, no import of ours but types. */
export function createEngine(options: { readonly slots: number }): Engine {
  const description: EngineDescription = {
    engineClass: "slogan",
    hardwareClass: "cpu-any",
    contextLength: 0,
    slots: options.slots,
    capabilities: {
      chat: true,
      completions: true,
      embeddings: false,
      classify: false,
      jsonSchema: false,
      grammar: false,
      logprobs: false,
      tools: false,
    },
  };
  return {
    description,
    trouble: undefined,
    onTrouble: () => () => undefined,
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    embed: () => Promise.reject(new SloganRefusal("embed")),
    classify: () => Promise.reject(new SloganRefusal("classify")),
    async *generate({ request }, signal) {
      const { stop = [], max_tokens: tokensMax = Infinity } = request;
      const stops = typeof stop === "string" ? [stop] : stop;
      yield { type: "prompt-read", promptTokens: 1 };
      let said = "";
      let tokens = 0;
      let finishReason: "stop" | "length" = "stop";
      for (const word of slogan.split(/(?<= )/)) {
        // One turn of the loop for each word, so that an abort is heard as it would be elsewhere.
        await new Promise((resolve) => setImmediate(resolve));
        if (signal.aborted) throw signal.reason;
        const cut = Math.min(...stops.map((text) => endBefore(said + word, text)));
        yield delta(word.slice(0, Math.max(0, cut - said.length)));
        said += word;
        tokens += 1;
        if (cut !== Infinity) break;
        if (tokens < tokensMax) continue;
        finishReason = "length";
        break;
      }
      yield { type: "generation-ended", finishReason, promptTokens: 1, completionTokens: tokens };
    },
  };
}

/** What this engine cannot do, told as the port asks for it. */
class SloganRefusal extends Error {
  override readonly name = "LakeError";
  readonly code = "model-input-invalid";

  constructor(verb: string) {
    super(`This engine says its slogan; it does not ${verb}.`);
  }
}

function delta(text: string): GenerationEvent {
  return { type: "token-delta", text, tokens: 1 };
}

function endBefore(text: string, stop: string): number {
  const at = text.indexOf(stop);
  return at < 0 ? Infinity : at;
}
