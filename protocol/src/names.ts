import { LakeError } from "./errors.ts";
import type { Hex } from "./hex.ts";

/** A parsed handle `builder/name:tag@sha256:<64 hex>`. */
export interface Handle {
  readonly builder: string;
  readonly name: string;
  /** `latest` where none was written. */
  readonly tag: string;
  /** The pinned manifest digest, if any. */
  readonly digest: Hex | undefined;
}

// Lower-case ASCII only, so that no two handles look alike; the contract checks the same grammar.
const part = "[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?";
const grammar = new RegExp(`^(${part})/(${part})(?::(${part}))?(?:@sha256:([0-9a-f]{64}))?$`);

/** Parses a handle; throws `handle-invalid`. */
export function parseHandle(text: string): Handle {
  // The longest valid handle has 64 + 64 + 64 + 2 + 72 characters.
  const match = text.length <= 300 ? grammar.exec(text) : null;
  if (match === null) {
    throw new LakeError("handle-invalid", `'${text.slice(0, 80)}' is not a model handle.`, {
      advice:
        "Write builder/name, builder/name:tag or builder/name:tag@sha256:<digest>, lower case.",
    });
  }
  const [, builder = "", name = "", tag = "latest", digest] = match;
  return { builder, name, tag, digest: digest === undefined ? undefined : `0x${digest}` };
}

/** Writes `builder/name:tag`, the form that Offers, RFCs and Records carry. */
export function formatHandle(handle: Handle): string {
  return `${handle.builder}/${handle.name}:${handle.tag}`;
}
