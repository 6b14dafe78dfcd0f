import { LakeError } from "@lake-travis/protocol";

/** One streamed answer as a caller of the OpenAI endpoint sees it. */
export interface StreamedChat {
  readonly text: string;
  readonly tokens: number;
  readonly ttftMs: number;
  readonly tokensPerSecond: number;
  readonly headers: Headers;
}

/** Asks the OpenAI endpoint and reads the stream to its end. Throws the endpoint's refusal. */
export async function streamChat(
  endpoint: string,
  model: string,
  prompt: string,
): Promise<StreamedChat> {
  const startedAt = performance.now();
  const answer = await fetch(`${endpoint}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model,
      stream: true,
      max_tokens: 64,
      temperature: 0,
      messages: [{ role: "user", content: prompt }],
    }),
  });
  if (!answer.ok || answer.body === null) {
    throw new LakeError("step-unverified", `The endpoint refused: ${await answer.text()}`);
  }
  let firstAt: number | undefined;
  let text = "";
  let tokens = 0;
  for await (const payload of payloads(answer.body)) {
    const piece = contentOf(payload);
    if (piece === "") continue;
    firstAt ??= performance.now();
    text += piece;
    tokens += 1;
  }
  const endedAt = performance.now();
  const generatingMs = endedAt - (firstAt ?? endedAt);
  return {
    text,
    tokens,
    ttftMs: Math.round((firstAt ?? endedAt) - startedAt),
    tokensPerSecond: Math.round(((tokens - 1) * 1000) / Math.max(1, generatingMs)),
    headers: answer.headers,
  };
}

async function* payloads(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const payload = line.startsWith("data:") ? line.slice(5).trim() : "";
      if (payload !== "" && payload !== "[DONE]") yield payload;
    }
  }
}

function contentOf(payload: string): string {
  const chunk = JSON.parse(payload) as {
    choices?: { delta?: { content?: string | null } }[];
    error?: { message: string };
  };
  if (chunk.error !== undefined) throw new LakeError("step-unverified", chunk.error.message);
  return chunk.choices?.[0]?.delta?.content ?? "";
}
