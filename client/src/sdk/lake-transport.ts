import { type ErrorCode, errorStatus, LakeError } from "@lake-travis/protocol";

/**
 * Carries requests to a node of the User's: over HTTP to a local endpoint, or straight into one in
 * this process. Only a node holds the session key and pins the Providers' certificates, which no
 * browser lets a page do; so a page always goes through one.
 */
export interface LakeTransport {
  /** What paths such as `chat/completions` are appended to; ends in a slash. */
  readonly base: string;
  fetch(request: Request): Promise<Response>;
  close?(): Promise<void>;
}

/** The transport to a local endpoint. Throws `argument-invalid` for what is no address. */
export function endpointTransport(options: {
  readonly endpoint: string;
  readonly apiKey?: string;
}): LakeTransport {
  const { apiKey, endpoint } = options;
  if (!URL.canParse(endpoint)) {
    throw new LakeError("argument-invalid", `'${endpoint.slice(0, 80)}' is no address.`, {
      advice: "Give the endpoint's base URL, such as http://127.0.0.1:8787/v1.",
    });
  }
  const base = `${endpoint.replace(/\/+$/, "")}/`;
  return {
    base,
    async fetch(request) {
      if (apiKey !== undefined) request.headers.set("authorization", `Bearer ${apiKey}`);
      try {
        return await fetch(request);
      } catch (cause) {
        request.signal.throwIfAborted();
        throw new LakeError("router-unreachable", `The endpoint ${endpoint} does not answer.`, {
          advice: "Start it with lake up, or give the right address.",
          cause,
        });
      }
    },
  };
}

/** Posts JSON to a path of the endpoint. */
export function postJson(
  transport: LakeTransport,
  call: {
    readonly path: string;
    readonly body: unknown;
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Response> {
  const { body, headers, path, signal } = call;
  const request = new Request(transport.base + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
  return transport.fetch(request);
}

/** Reads an answer's JSON; throws the `LakeError` that it carries instead. */
export async function answerJson(answer: Response): Promise<unknown> {
  await requireAnswer(answer);
  return await answer.json();
}

/** Throws the failure that an answer carries, if it is one. */
export async function requireAnswer(answer: Response): Promise<void> {
  if (answer.ok) return;
  const body = (await answer.json().catch(() => null)) as { error?: unknown } | null;
  throw failureIn(body?.error, answer.status);
}

/** Reads OpenAI's error object, whose code is one of ours, back into a `LakeError`. */
export function failureIn(error: unknown, status: number): LakeError {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const known = typeof code === "string" && Object.hasOwn(errorStatus, code);
  const sentence =
    typeof message === "string" ? message : `The endpoint answered with HTTP status ${status}.`;
  return new LakeError(known ? (code as ErrorCode) : "answer-interrupted", sentence, {
    data: { status },
  });
}
