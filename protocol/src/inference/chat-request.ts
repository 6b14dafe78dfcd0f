import { inferenceLimits } from "./inference-limits.ts";
import { type FieldReader, isObject, type JsonObject, readFields } from "./request-fields.ts";
import { checkSampling, type SamplingFields } from "./sampling-fields.ts";

/** One part of a message. Kinds that an engine does not know are refused by the engine. */
export interface ContentPart {
  readonly type: string;
  readonly text?: string;
  readonly [extra: string]: unknown;
}

/** Who speaks in a conversation. */
export const chatRoles = ["system", "developer", "user", "assistant", "tool", "function"] as const;

/** One message of a conversation. */
export interface ChatMessage {
  readonly role: (typeof chatRoles)[number];
  readonly content?: string | readonly ContentPart[] | null;
  readonly [extra: string]: unknown;
}

/** What form the answer must have. */
export type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object" }
  | {
      readonly type: "json_schema";
      readonly json_schema: { readonly name?: string; readonly schema: JsonObject };
    };

/** `POST /v1/chat/completions`. Fields that are not known here are kept for the engine. */
export interface ChatRequest extends SamplingFields {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly max_completion_tokens?: number;
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
  readonly response_format?: ResponseFormat;
  readonly tools?: readonly JsonObject[];
  readonly tool_choice?: unknown;
  /** Go on within the last message, the assistant's, instead of beginning another (as in vLLM). */
  readonly continue_final_message?: boolean;
  readonly [extra: string]: unknown;
}

/** Reads a chat request from JSON; throws `model-input-invalid` naming the field. */
export function readChatRequest(json: unknown): ChatRequest {
  const fields = readFields(json, "The request");
  if (fields.source["model"] === undefined) fields.refuse("model", "a model's name");
  fields.text("model", inferenceLimits.modelTextMax);
  checkMessages(fields);
  checkSampling(fields);
  const answer = { min: 1, max: inferenceLimits.answerTokensMax, whole: true };
  fields.number("max_completion_tokens", answer);
  fields.boolean("logprobs");
  fields.boolean("continue_final_message");
  fields.number("top_logprobs", { min: 0, max: inferenceLimits.topLogprobsMax, whole: true });
  fields.list("tools", inferenceLimits.toolsMax);
  checkResponseFormat(fields);
  return fields.source as unknown as ChatRequest;
}

/**
 * The text of a message's content. Throws `model-input-invalid` at a part that is not text, for
 * engines that read nothing else.
 */
export function textOf(message: ChatMessage): string {
  const { content } = message;
  if (typeof content === "string") return content;
  if (content === undefined || content === null) return "";
  return content
    .map((part) => {
      if (part.type === "text" && typeof part.text === "string") return part.text;
      return readFields({}, "messages").refuse("messages", "text only for this model");
    })
    .join("");
}

function checkMessages(fields: FieldReader): void {
  const { messages } = fields.source;
  const expected = `a list of 1 to ${inferenceLimits.messagesMax} messages`;
  if (!Array.isArray(messages) || messages.length === 0) return fields.refuse("messages", expected);
  fields.list("messages", inferenceLimits.messagesMax);
  messages.forEach((message: unknown, index) => {
    if (!isObject(message)) return fields.refuse(`messages[${index}]`, "an object");
    if (!chatRoles.some((role) => role === message["role"])) {
      fields.refuse(`messages[${index}].role`, `one of ${chatRoles.join(", ")}`);
    }
    if (!isContent(message["content"])) {
      fields.refuse(`messages[${index}].content`, "a string or a list of parts");
    }
  });
}

function isContent(content: unknown): boolean {
  if (content === undefined || content === null || typeof content === "string") return true;
  if (!Array.isArray(content) || content.length > inferenceLimits.partsMax) return false;
  return content.every((part: unknown) => isObject(part) && typeof part["type"] === "string");
}

function checkResponseFormat(fields: FieldReader): void {
  fields.object("response_format");
  const format = fields.source["response_format"];
  if (!isObject(format)) return;
  const { type } = format;
  if (type !== "text" && type !== "json_object" && type !== "json_schema") {
    fields.refuse("response_format.type", "text, json_object or json_schema");
  }
  const schema = format["json_schema"];
  if (type === "json_schema" && !(isObject(schema) && isObject(schema["schema"]))) {
    fields.refuse("response_format.json_schema.schema", "a JSON schema");
  }
}
