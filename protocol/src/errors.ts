/**
 * Every expected failure of Lake Travis, with the HTTP status that carries it.
 * Codes are API: they are never renamed, only added.
 */
export const errorStatus = {
  // What arrived is not what it should be.
  "body-invalid": 400,
  "body-too-large": 413,
  "message-invalid": 400,
  "handle-invalid": 400,
  "model-input-invalid": 400,
  "records-invalid": 400,
  "context-length-exceeded": 400,
  "route-not-found": 404,
  "shard-wrong": 421,
  // Who says so is not who should.
  "signature-invalid": 401,
  "endpoint-key-wrong": 401,
  "session-proof-missing": 401,
  "session-proof-invalid": 401,
  "signer-wrong": 403,
  "audience-wrong": 403,
  "party-suspended": 403,
  // When, and how often.
  "message-expired": 409,
  "message-replayed": 409,
  "sequence-stale": 409,
  "deadline-too-far": 400,
  "tick-stale": 409,
  "tick-beyond-ticket": 409,
  "tick-not-covered": 402,
  // Money.
  "mor-missing": 402,
  "budget-spent": 402,
  "delegation-unknown": 404,
  "delegation-revoked": 403,
  "delegation-limit-reached": 402,
  "spend-limit-reached": 402,
  // The User's wallet and settings.
  "wallet-refused": 403,
  "wallet-unreachable": 503,
  "wallet-missing": 400,
  "keystore-invalid": 400,
  "passphrase-wrong": 401,
  "config-invalid": 400,
  "clock-wrong": 503,
  // Matching.
  "model-unknown": 404,
  "price-cap-too-low": 402,
  "speed-not-offered": 404,
  "provider-none": 503,
  "provider-unreachable": 503,
  "provider-refused": 503,
  "slots-full": 503,
  "rfc-pending": 409,
  "queue-full": 429,
  "rate-limited": 429,
  // Sessions.
  "session-unknown": 404,
  "session-ended": 410,
  "session-busy": 409,
  "ticket-lapsed": 410,
  "answer-interrupted": 502,
  "engine-failed": 502,
  // Registry and storage.
  "manifest-invalid": 400,
  "format-refused": 400,
  "block-invalid": 502,
  "content-missing": 404,
  "name-taken": 409,
  "quota-exceeded": 507,
  "holder-none": 503,
  // This machine.
  "router-unreachable": 503,
  "chain-unreachable": 503,
  "chain-wrong": 503,
  "chain-refused": 502,
  "port-taken": 500,
  "folder-unusable": 500,
  "folder-locked": 500,
  "disk-full": 507,
  "database-unreachable": 503,
  "journal-corrupt": 500,
  "node-too-old": 500,
  "child-failed": 500,
  "argument-invalid": 400,
  "step-unverified": 500,
  "audit-differs": 500,
  "shutting-down": 503,
  internal: 500,
} as const;

/** A stable name for one way to fail; see {@link errorStatus}. */
export type ErrorCode = keyof typeof errorStatus;

/** What a {@link LakeError} carries beside its sentence. */
export interface LakeErrorOptions {
  /** One line that says what to do next. */
  readonly advice?: string;
  readonly cause?: unknown;
  /** Figures and names behind the failure; never a prompt, an answer or a key. */
  readonly data?: Readonly<Record<string, string | number | boolean>>;
}

/** The JSON form of a failure, as every HTTP endpoint of ours but the OpenAI one sends it. */
export interface ErrorBody {
  readonly error: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly advice?: string;
    readonly data?: Readonly<Record<string, string | number | boolean>>;
  };
}

/** An expected failure: a code for programs, a sentence for people, advice for what to do next. */
export class LakeError extends Error {
  override readonly name = "LakeError";
  readonly code: ErrorCode;
  readonly advice: string | undefined;
  readonly data: Readonly<Record<string, string | number | boolean>> | undefined;

  constructor(code: ErrorCode, message: string, options: LakeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.advice = options.advice;
    this.data = options.data;
  }

  /** The HTTP status that carries this failure. */
  get status(): number {
    return errorStatus[this.code];
  }

  /** The body that {@link errorFromBody} reads back. */
  toBody(): ErrorBody {
    return {
      error: {
        code: this.code,
        message: this.message,
        ...(this.advice === undefined ? {} : { advice: this.advice }),
        ...(this.data === undefined ? {} : { data: this.data }),
      },
    };
  }
}

/** Reads a peer's failure; what is not one of ours becomes `fallback` with the status as data. */
export function errorFromBody(body: unknown, status: number, fallback: ErrorCode): LakeError {
  const error = (body as Partial<ErrorBody> | null)?.error;
  if (typeof error?.code === "string" && Object.hasOwn(errorStatus, error.code)) {
    const message = typeof error.message === "string" ? error.message : error.code;
    const advice = typeof error.advice === "string" ? { advice: error.advice } : {};
    return new LakeError(error.code, message, { ...advice, ...dataOf(error.data) });
  }
  return new LakeError(fallback, `The peer answered with HTTP status ${status}.`, {
    data: { status },
  });
}

/** A peer's data as far as it is what it should be. */
function dataOf(data: unknown): Pick<LakeErrorOptions, "data"> {
  if (typeof data !== "object" || data === null) return {};
  const entries = Object.entries(data as Readonly<Record<string, unknown>>).filter(([, value]) =>
    ["string", "number", "boolean"].includes(typeof value),
  );
  return { data: Object.fromEntries(entries) as NonNullable<LakeErrorOptions["data"]> };
}

/** Throws an `internal` {@link LakeError} where something that cannot be false is false. */
export function assert(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new LakeError("internal", `This cannot happen: ${sentence}`);
}
