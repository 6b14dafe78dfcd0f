import { randomBytes } from "node:crypto";
import type { Random } from "@lake-travis/protocol";

/** The operating system's generator. */
export const systemRandom: Random = { bytes: (length) => new Uint8Array(randomBytes(length)) };
