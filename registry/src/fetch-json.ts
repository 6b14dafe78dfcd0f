import { LakeError } from "@lake-travis/protocol";
import { requireAnswer, unreachable } from "./download-file.ts";
import { limits } from "./limits.ts";
import { readBody } from "./read-body.ts";

/** Gets a JSON document of bounded size; throws as {@link requireAnswer} does, `holder-none`. */
export async function fetchJson(
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<unknown> {
  const timeout = AbortSignal.timeout(limits.importStallMs);
  let response: Response;
  try {
    response = await fetch(url, { headers, signal: AbortSignal.any([signal, timeout]) });
    requireAnswer(response, url);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof LakeError ? error : unreachable(url, error);
  }
  return await readJson(response, url);
}

/** Reads a JSON body of bounded size; throws `manifest-invalid`. */
export async function readJson(response: Response, url: string): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readBody(response)) {
    length += chunk.length;
    if (length > limits.importListBytesMax) {
      throw new LakeError("manifest-invalid", `${url} sends an endless list.`);
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (cause) {
    throw new LakeError("manifest-invalid", `${url} does not answer in JSON.`, { cause });
  }
}
