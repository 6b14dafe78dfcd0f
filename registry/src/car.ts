import type { CID } from "multiformats/cid";

/** The header of a CARv1 with one root: a length, then DAG-CBOR `{roots: [CID], version: 1}`. */
export function carHeader(root: CID): Uint8Array {
  const link = root.bytes;
  // 0xa2 map of two; "roots" -> array of one -> tag 42, byte string with a zero byte in front;
  // "version" -> 1. The byte string's length takes one byte up to 255, which a CID never passes.
  const header = Buffer.concat([
    Buffer.from([0xa2, 0x65]),
    Buffer.from("roots"),
    Buffer.from([0x81, 0xd8, 0x2a, 0x58, link.length + 1, 0x00]),
    link,
    Buffer.from([0x67]),
    Buffer.from("version"),
    Buffer.from([0x01]),
  ]);
  return Buffer.concat([varint(header.length), header]);
}

/** What stands in front of a block's bytes in a CAR. */
export function carBlockPrefix(cid: CID, length: number): Uint8Array {
  return Buffer.concat([varint(cid.bytes.length + length), cid.bytes]);
}

/** An unsigned LEB128 number. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
