import { Template } from "@huggingface/jinja";
import { type ChatRequest, isObject, textOf } from "@lake-travis/protocol/inference";
import { LakeError } from "@lake-travis/protocol";

/** Writes a conversation as the prompt that the model was trained on. */
export interface ChatTemplate {
  /** Throws `model-input-invalid` where the template refuses the conversation. */
  render(request: ChatRequest): string;
  /** The template has a place for tools. */
  readonly takesTools: boolean;
}

/** The texts of a model's special tokens that templates ask for. */
export interface SpecialTexts {
  readonly bos: string;
  readonly eos: string;
}

/** For models that bring no template of their own, the most common one. */
const chatMl =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + " +
  "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** Reads a model's own Jinja template, or takes ChatML where it has none. */
export function createChatTemplate(
  source: string | undefined,
  special: SpecialTexts,
): ChatTemplate {
  const text = source ?? chatMl;
  const template = new Template(text);
  return {
    takesTools: /\btools\b/.test(text),
    render(request) {
      const begun = begunAnswer(request);
      const read = begun === undefined ? request.messages : request.messages.slice(0, -1);
      const messages = read.map((message) => ({
        ...message,
        role: message.role === "developer" ? "system" : message.role,
        content: textOf(message),
        ...calledTools(message["tool_calls"]),
      }));
      try {
        const prompt = template.render({
          messages,
          add_generation_prompt: true,
          bos_token: special.bos,
          eos_token: special.eos,
          ...(request.tools === undefined ? {} : { tools: request.tools }),
          ...templateArguments(request),
        });
        return prompt + (begun ?? "");
      } catch (cause) {
        throw new LakeError("model-input-invalid", "The model's chat template refuses this.", {
          advice: "Check the order and the roles of the messages.",
          cause,
          data: { param: "messages" },
        });
      }
    },
  };
}

/** The beginning of the answer that the User already has, where it asks to go on with it. */
function begunAnswer(request: ChatRequest): string | undefined {
  const last = request.messages.at(-1);
  if (request["continue_final_message"] !== true || last?.role !== "assistant") return undefined;
  return textOf(last);
}

// OpenAI writes a call's arguments as text; templates write them as JSON, so they need the object.
function calledTools(calls: unknown): { readonly tool_calls?: readonly unknown[] } {
  if (!Array.isArray(calls)) return {};
  const read = calls.map((call: unknown) => {
    if (!isObject(call) || !isObject(call["function"])) return call;
    const { arguments: given, ...rest } = call["function"];
    return { ...call, function: { ...rest, arguments: objectOrText(given) } };
  });
  return { tool_calls: read };
}

function objectOrText(given: unknown): unknown {
  if (typeof given !== "string") return given;
  try {
    return JSON.parse(given) as unknown;
  } catch {
    // A model wrote it, so it may be no JSON; then the template shows the text.
    return given;
  }
}

function templateArguments(request: ChatRequest): Readonly<Record<string, unknown>> {
  const given = request["chat_template_kwargs"];
  return isObject(given) ? given : {};
}
