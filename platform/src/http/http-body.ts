import { LakeError } from "@lake-travis/protocol";

/** Reads a request's body up to `bytesMax`; throws `body-too-large`. */
export async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > bytesMax) throw bodyTooLarge(bytesMax);
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    total += chunk.length;
    if (total > bytesMax) throw bodyTooLarge(bytesMax);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
}

/** Reads a request's body as JSON; throws `body-too-large` or `body-invalid`. */
export async function readJson(request: Request, bytesMax: number): Promise<unknown> {
  return parseJson(await readBytes(request, bytesMax));
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Parses UTF-8 JSON; throws `body-invalid`. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes)) as unknown;
  } catch (cause) {
    throw new LakeError("body-invalid", "The body is not JSON.", { cause });
  }
}

/** The answer that carries a failure; what was not expected is named `internal` and no more. */
export function errorResponse(error: unknown): Response {
  const known = tellableError(error);
  const headers = known.status === 429 || known.status === 503 ? { "retry-after": "1" } : {};
  return Response.json(known.toBody(), { status: known.status, headers });
}

/** The failure as it may be told outside; what was not expected is named `internal` and no more. */
export function tellableError(error: unknown): LakeError {
  if (error instanceof LakeError) return error;
  return new LakeError("internal", "Something went wrong here; the logs say what.");
}

/** The refusal of a body of more than `bytesMax`. */
export function bodyTooLarge(bytesMax: number): LakeError {
  return new LakeError("body-too-large", `The body is larger than ${bytesMax} bytes.`, {
    data: { bytesMax },
  });
}
