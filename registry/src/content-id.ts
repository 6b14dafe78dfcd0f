import { createHash } from "node:crypto";
import { CID } from "multiformats/cid";
import { create as createMultihash } from "multiformats/hashes/digest";
import { LakeError, type Hex, fromHex, toHex } from "@lake-travis/protocol";

/** The codecs that models are made of: raw leaves and UnixFS nodes. */
export type BlockCodec = "raw" | "dag-pb";

/** Multicodec numbers, from the multicodec table. */
const codecNumber = { raw: 0x55, "dag-pb": 0x70 } as const;

const sha256Number = 0x12;
const identityNumber = 0;
const sha256Bytes = 32;
/** The longest text of a CID that is read: a sha2-256 one has 59 characters. */
const textLengthMax = 128;

/** SHA-256 of `bytes`. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

/** The CIDv1 of a block with this SHA-256 digest. */
export function contentId(codec: BlockCodec, digest: Uint8Array): CID {
  return CID.createV1(codecNumber[codec], createMultihash(sha256Number, digest));
}

/** The CIDv1 that the contract's 32 bytes stand for. */
export function contentIdFromHex(codec: BlockCodec, digest: Hex): CID {
  return contentId(codec, fromHex(digest));
}

/** The 32 bytes of a CID, as the contracts keep them. */
export function contentIdToHex(cid: CID): Hex {
  return toHex(cid.multihash.digest);
}

/** Whether a CID carries its bytes in itself, as gateways are probed with. */
export function isIdentity(cid: CID): boolean {
  return cid.multihash.code === identityNumber;
}

/** Which codec a CID has; throws `block-invalid` for one that models are not made of. */
export function codecOf(cid: CID): BlockCodec {
  if (cid.code === codecNumber.raw) return "raw";
  if (cid.code === codecNumber["dag-pb"]) return "dag-pb";
  throw new LakeError("block-invalid", `The CID ${cid} has the unknown codec ${cid.code}.`, {
    advice: "Only raw and dag-pb blocks are used for models.",
    data: { codec: cid.code },
  });
}

/**
 * Reads the text of a CID; throws `block-invalid` unless it is SHA-256 over raw or dag-pb
 * (or, with `identity`, carries its bytes itself).
 */
export function parseContentId(text: string, options: { identity?: boolean } = {}): CID {
  if (text.length > textLengthMax) throw notContentId(text.slice(0, 16) + "...");
  let cid: CID;
  try {
    cid = CID.parse(text);
  } catch (cause) {
    throw notContentId(text, cause);
  }
  return options.identity === true && isIdentity(cid) ? cid : checkContentId(cid);
}

/** Returns the CID if it is SHA-256 over raw or dag-pb; throws `block-invalid` otherwise. */
export function checkContentId(cid: CID): CID {
  codecOf(cid);
  const { code, digest } = cid.multihash;
  if (code !== sha256Number || digest.length !== sha256Bytes) {
    throw new LakeError("block-invalid", `The CID ${cid} is not a SHA-256 one.`, {
      advice: "Add the content again with the IPFS profile unixfs-v1-2025.",
    });
  }
  return cid;
}

function notContentId(text: string, cause?: unknown): LakeError {
  return new LakeError("block-invalid", `"${text}" is not a CID.`, { cause });
}
