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
      const messages = request.messages.map((message) => ({
        ...message,
        role: message.role === "developer" ? "system" : message.role,
        content: textOf(message),
      }));
      try {
        return template.render({
          messages,
          add_generation_prompt: true,
          bos_token: special.bos,
          eos_token: special.eos,
          ...(request.tools === undefined ? {} : { tools: request.tools }),
          ...templateArguments(request),
        });
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

function templateArguments(request: ChatRequest): Readonly<Record<string, unknown>> {
  const given = request["chat_template_kwargs"];
  return isObject(given) ? given : {};
}
