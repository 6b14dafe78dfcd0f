import { LakeError } from "@lake-travis/protocol";
import { openAiErrorBody } from "@lake-travis/protocol/inference";

/** A failure in the form that OpenAI's clients understand. */
export function openaiErrorResponse(error: unknown): Response {
  const status = error instanceof LakeError ? error.status : 500;
  const { error: body } = openAiErrorBody(error);
  const code = error instanceof LakeError ? error.code : body.code;
  const isModel = code === "model-unknown" || code === "handle-invalid";
  const detail = {
    ...body,
    // Our own codes are API; OpenAI's two spellings are for answers that come from an engine.
    code,
    param: body.param ?? (isModel ? "model" : null),
    type: status === 404 ? "not_found_error" : body.type,
  };
  const headers = status === 429 || status === 503 ? { "retry-after": "2" } : {};
  return Response.json({ error: detail }, { status, headers });
}
