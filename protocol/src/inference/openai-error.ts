import { type ErrorCode, errorStatus, LakeError } from "../errors.ts";

/** The error object of every `/v1/*` endpoint that speaks OpenAI's language. */
export interface OpenAiErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

/** Writes a failure as OpenAI's clients expect it; what was not expected is named `internal`. */
export function openAiErrorBody(error: unknown): OpenAiErrorBody {
  const known =
    error instanceof LakeError
      ? error
      : new LakeError("internal", "Something went wrong here; the logs say what.");
  const param = known.data?.["param"];
  return {
    error: {
      message: known.advice === undefined ? known.message : `${known.message} ${known.advice}`,
      type: typeByStatus(known.status),
      param: typeof param === "string" ? param : null,
      code: codeNames[known.code] ?? known.code,
    },
  };
}

/** Reads an OpenAI error object back; what is not one becomes `fallback`. */
export function errorFromOpenAi(body: unknown, status: number, fallback: ErrorCode): LakeError {
  const error = (body as Partial<OpenAiErrorBody> | null)?.error;
  const text = typeof error?.message === "string" ? error.message.slice(0, 1_000) : undefined;
  const code = typeof error?.code === "string" ? error.code.replaceAll("_", "-") : "";
  return new LakeError(
    code in errorStatus ? (code as ErrorCode) : fallback,
    text ?? `The peer answered with HTTP status ${status}.`,
    {
      data: {
        status,
        ...(typeof error?.param === "string" ? { param: error.param.slice(0, 200) } : {}),
      },
    },
  );
}

// OpenAI's clients branch on these two spellings; all other codes keep our own name.
const codeNames: Partial<Record<ErrorCode, string>> = {
  "context-length-exceeded": "context_length_exceeded",
  "rate-limited": "rate_limit_exceeded",
};

function typeByStatus(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 402) return "insufficient_quota";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}
