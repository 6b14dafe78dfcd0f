import { LakeError } from "@lake-travis/protocol";

/** A failure in the form that OpenAI's clients understand. */
export function openaiErrorResponse(error: unknown): Response {
  const known =
    error instanceof LakeError
      ? error
      : new LakeError("internal", "Something went wrong in this client; its log says what.");
  const advice = known.advice === undefined ? "" : ` ${known.advice}`;
  const body = {
    error: {
      message: known.message + advice,
      type: typeOf(known.status),
      param: known.code === "model-unknown" || known.code === "handle-invalid" ? "model" : null,
      code: known.code,
    },
  };
  const retry = known.status === 429 || known.status === 503 ? { "retry-after": "2" } : {};
  return Response.json(body, { status: known.status, headers: retry });
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 402) return "insufficient_quota";
  if (status === 403) return "permission_error";
  if (status === 404) return "not_found_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}
