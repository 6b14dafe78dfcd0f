/*
 * OpenAI's Responses API, as far as it needs no memory: a request becomes a chat request, which is
 * what every engine speaks. What would need a server that remembers is refused by name, because a
 * client that believes its conversation is stored would lose it.
 */
import { LakeError } from "@lake-travis/protocol";
import { isObject, type JsonObject } from "@lake-travis/protocol/inference";

/** Writes a Responses request as a chat request; throws `body-invalid` naming the field. */
export function chatFromResponses(body: JsonObject): JsonObject {
  for (const name of remembering) {
    const value = body[name];
    if (value === undefined || value === null || value === false) continue;
    throw new LakeError("body-invalid", `The field '${name}' needs a server that remembers.`, {
      advice: "Send the whole conversation in 'input'.",
      data: { param: name },
    });
  }
  const instructions = body["instructions"];
  const system =
    typeof instructions === "string" ? [{ role: "system", content: instructions }] : [];
  const chat: Record<string, unknown> = {
    model: body["model"],
    messages: [...system, ...messagesOf(body["input"])],
  };
  for (const [from, to] of Object.entries(sameFields)) {
    if (body[from] !== undefined && body[from] !== null) chat[to] = body[from];
  }
  const tools = toolsOf(body["tools"]);
  if (tools.length > 0) chat["tools"] = tools;
  const choice = body["tool_choice"];
  if (choice !== undefined && tools.length > 0) chat["tool_choice"] = toolChoiceOf(choice);
  const format = formatOf(body["text"]);
  if (format !== undefined) chat["response_format"] = format;
  const effort = isObject(body["reasoning"]) ? body["reasoning"]["effort"] : undefined;
  if (typeof effort === "string") chat["reasoning_effort"] = effort;
  return chat;
}

/** Fields that ask a server to remember something. */
const remembering = ["previous_response_id", "conversation", "background", "prompt"] as const;

const sameFields = {
  max_output_tokens: "max_tokens",
  temperature: "temperature",
  top_p: "top_p",
  top_logprobs: "top_logprobs",
  parallel_tool_calls: "parallel_tool_calls",
  seed: "seed",
  stop: "stop",
  user: "user",
  provider: "provider",
} as const;

function messagesOf(input: unknown): unknown[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  if (!Array.isArray(input) || input.length === 0) {
    throw invalid("input", "must be a text or a list of items");
  }
  const messages: Record<string, unknown>[] = [];
  for (const item of input as unknown[]) {
    if (!isObject(item)) throw invalid("input", "must hold objects");
    addItem(messages, item);
  }
  return messages;
}

function addItem(messages: Record<string, unknown>[], item: JsonObject): void {
  const type = item["type"] ?? "message";
  if (type === "message") {
    messages.push({ role: item["role"], content: contentOf(item["content"]) });
  } else if (type === "function_call") {
    const { name, arguments: given } = item;
    const call = { id: item["call_id"], type: "function", function: { name, arguments: given } };
    const last = messages.at(-1);
    // Calls of one turn belong to one message of the assistant.
    if (last?.["role"] === "assistant" && Array.isArray(last["tool_calls"])) {
      (last["tool_calls"] as unknown[]).push(call);
    } else messages.push({ role: "assistant", content: null, tool_calls: [call] });
  } else if (type === "function_call_output") {
    const { output } = item;
    const content = typeof output === "string" ? output : contentOf(output);
    messages.push({ role: "tool", tool_call_id: item["call_id"], content });
  } else if (type !== "reasoning") {
    // Reasoning of earlier turns is the model's own and is left out, as OpenAI's servers do.
    throw invalid("input", `cannot hold items of type ${JSON.stringify(type).slice(0, 40)} here`);
  }
}

function contentOf(content: unknown): unknown {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw invalid("input", "must hold messages with content");
  const parts = (content as unknown[]).map((part) => {
    if (!isObject(part)) throw invalid("input", "must hold parts of content");
    const { text, type } = part;
    if (type === "input_text" || type === "output_text") return { type: "text", text };
    if (type === "input_image") {
      return { type: "image_url", image_url: { url: part["image_url"], detail: part["detail"] } };
    }
    throw invalid("input", `cannot hold parts of type '${String(type)}' here`);
  });
  const isPlain = parts.every((part) => part.type === "text");
  return isPlain ? parts.map((part) => String(part.text)).join("") : parts;
}

function toolsOf(tools: unknown): unknown[] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) throw invalid("tools", "must be a list");
  return (tools as unknown[]).map((tool) => {
    if (!isObject(tool) || tool["type"] !== "function") {
      throw invalid("tools", "can only hold functions here");
    }
    const { description, name, parameters, strict } = tool;
    return { type: "function", function: { name, description, parameters, strict } };
  });
}

function toolChoiceOf(choice: unknown): unknown {
  if (!isObject(choice) || choice["type"] !== "function") return choice;
  return { type: "function", function: { name: choice["name"] } };
}

function formatOf(text: unknown): unknown {
  const format = isObject(text) ? text["format"] : undefined;
  if (!isObject(format)) return undefined;
  if (format["type"] !== "json_schema") return format;
  const { name, schema, strict } = format;
  return { type: "json_schema", json_schema: { name, schema, strict } };
}

function invalid(param: string, expected: string): LakeError {
  return new LakeError("body-invalid", `The field '${param}' ${expected}.`, { data: { param } });
}
