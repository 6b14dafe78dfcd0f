import type { IncomingMessage, ServerResponse } from "node:http";
import { LakeError } from "@lake-travis/protocol";
import { bodyTooLarge } from "./http-body.ts";

/** What is still read of a body that is too large, so that its sender sees the answer. */
const drainedBodiesMax = 4;

/**
 * Reads the body of a request on its bare socket up to `bytesMax`; throws `body-too-large`, or
 * `body-invalid` where it ends too early.
 */
export function readIncoming(incoming: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const chunks: Buffer[] = [];
  let total = 0;
  incoming.on("data", (chunk: Buffer) => {
    total += chunk.length;
    if (total <= bytesMax) chunks.push(chunk);
    else reject(bodyTooLarge(bytesMax));
    if (total > bytesMax * drainedBodiesMax) incoming.destroy();
  });
  let isWhole = false;
  incoming.once("end", () => {
    isWhole = true;
    resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
  });
  const cut = (): void => {
    // An error's stack costs more than all else here.
    if (!isWhole) reject(new LakeError("body-invalid", "The body ended too early."));
  };
  incoming.once("error", cut);
  incoming.once("close", cut);
  return promise;
}

/** Answers a request on its bare socket with JSON text. */
export function sendJson(outgoing: ServerResponse, text: string, status = 200): void {
  outgoing.statusCode = status;
  outgoing.setHeader("content-type", "application/json");
  if (status === 429 || status === 503) outgoing.setHeader("retry-after", "1");
  // The rest of a body that is too large is not worth the connection.
  if (status === 413) outgoing.setHeader("connection", "close");
  outgoing.end(text);
}
