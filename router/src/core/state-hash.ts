import { type Hex, keccak256Hex } from "@lake-travis/protocol";
import type { RouterState } from "./state.ts";

/**
 * A hash of everything that a state holds, the same on any machine: maps and sets in the order of
 * their keys, whatever order they were filled in.
 */
export function stateHash(state: RouterState): Hex {
  const text = canonicalText(state);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index) & 255;
  return keccak256Hex(bytes);
}

/** The text behind {@link stateHash}; for finding where two states differ. */
function canonicalText(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (value === undefined) return "undefined";
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (value instanceof Set) return `set(${[...value].map(canonicalText).sort().join(",")})`;
  const entries = value instanceof Map ? [...value.entries()] : Object.entries(value);
  const texts = entries.map(([key, item]) => `${canonicalText(key)}:${canonicalText(item)}`);
  return `{${texts.sort().join(",")}}`;
}
