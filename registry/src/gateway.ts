import type { CID } from "multiformats/cid";
import { LakeError } from "@lake-travis/protocol";
import type { BlockStore } from "./block-store.ts";
import { carBlockPrefix, carHeader } from "./car.ts";
import { codecOf, isIdentity, parseContentId } from "./content-id.ts";
import { fileLengthOf, readFileNode } from "./file-dag.ts";
import { limits } from "./limits.ts";

// The trustless gateway (specs.ipfs.tech/http-gateways/trustless-gateway/), read-only and local:
// it answers from what this node holds and never fetches for a stranger. Deviations: only files,
// so no paths below a CID; no IPNS.

/** The part of an HTTP request that the gateway reads. */
export interface GatewayRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What the gateway answers. A generator's chunks are valid until the next one is asked for. */
export interface GatewayAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body:
    | Uint8Array
    | { readonly read: (target: Uint8Array) => Promise<Uint8Array | undefined> }
    | AsyncGenerator<Uint8Array>
    | undefined;
}

type Format = "raw" | "car";

const mediaTypes = {
  raw: "application/vnd.ipld.raw",
  car: "application/vnd.ipld.car",
} as const;

interface CarScope {
  readonly dagScope: "block" | "entity" | "all";
  readonly from: number;
  /** Exclusive; infinite for 'to the end'. */
  readonly until: number;
}

/** Answers a request of the trustless gateway from the blocks in `store`. */
export async function answerGateway(
  store: BlockStore,
  request: GatewayRequest,
): Promise<GatewayAnswer> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return refuse(405, "Only GET and HEAD are answered.", { Allow: "GET, HEAD" });
  }
  const url = URL.parse(request.target, "http://gateway");
  if (url === null) return refuse(400, "The request target is no URL.");
  const [, root, cidText = "", ...path] = url.pathname.split("/");
  if (root !== "ipfs" || cidText === "") return refuse(404, "Ask for /ipfs/<cid>?format=raw.");
  if (path.some((segment) => segment !== "")) {
    return refuse(404, "This gateway holds files, not folders: ask for the file's own CID.");
  }
  const format = formatOf(url, request);
  if (format === undefined) {
    return refuse(406, "Only ?format=raw and ?format=car are served (a trustless gateway).");
  }
  try {
    const cid = parseContentId(cidText, { identity: true });
    const answer =
      format === "raw" ? answerRaw(store, cid) : await answerCar(store, cid, carScopeOf(url));
    return finish(answer, request);
  } catch (error) {
    if (!(error instanceof LakeError)) throw error;
    return refuse(error.code === "content-missing" ? 404 : 400, error.message);
  }
}

function finish(answer: GatewayAnswer, request: GatewayRequest): GatewayAnswer {
  const wanted = String(request.headers["if-none-match"] ?? "");
  const etag = String(answer.headers["Etag"] ?? "");
  if (etag !== "" && (wanted === "*" || wanted.split(/\s*,\s*/).includes(etag))) {
    return { status: 304, headers: { Etag: etag }, body: undefined };
  }
  return request.method === "HEAD" ? { ...answer, body: undefined } : answer;
}

function answerRaw(store: BlockStore, cid: CID): GatewayAnswer {
  const headers = (length: number): Record<string, string | number> => ({
    ...immutableHeaders(cid, "raw"),
    "Content-Type": mediaTypes.raw,
    "Content-Length": length,
    "Content-Disposition": `attachment; filename="${cid}.bin"`,
    Etag: `"${cid}.raw"`,
  });
  if (isIdentity(cid)) {
    const bytes = cid.multihash.digest;
    return { status: 200, headers: headers(bytes.length), body: bytes };
  }
  const block = store.find(cid.multihash.digest);
  if (block === undefined) throw missing(cid);
  return { status: 200, headers: headers(block.length), body: block };
}

async function answerCar(store: BlockStore, cid: CID, scope: CarScope): Promise<GatewayAnswer> {
  const root = isIdentity(cid) ? cid.multihash.digest : await store.get(cid.multihash.digest);
  if (root === undefined) throw missing(cid);
  return {
    status: 200,
    headers: {
      ...immutableHeaders(cid, "car"),
      "Content-Type": `${mediaTypes.car}; version=1; order=dfs; dups=n`,
      "Content-Disposition": `attachment; filename="${cid}.car"`,
      Etag: `W/"${cid}.car.${scope.dagScope}.${scope.from}.${scope.until}"`,
    },
    body: writeCar(store, cid, root, scope),
  };
}

async function* writeCar(
  store: BlockStore,
  root: CID,
  rootBytes: Uint8Array,
  scope: CarScope,
): AsyncGenerator<Uint8Array> {
  yield carHeader(root);
  if (isIdentity(root)) return;
  const sent = new Set<string>();
  // Depth first; at most dagDepthMax x nodeLinksMax entries wait here.
  const start = codecOf(root) === "raw" ? rootBytes.length : fileLengthOf(rootBytes);
  const stack = [{ cid: root, at: 0, length: start, depth: 0 }];
  for (let part = stack.pop(); part !== undefined; part = stack.pop()) {
    const { cid, at, length, depth } = part;
    if (depth > 0 && (at >= scope.until || at + length <= scope.from)) continue;
    const key = cid.toString();
    const bytes = depth === 0 ? rootBytes : await store.get(cid.multihash.digest);
    // A CAR that lacks a block is cut off, which the client sees: it cannot be said any more.
    if (bytes === undefined) throw missing(cid);
    if (!sent.has(key)) {
      sent.add(key);
      yield carBlockPrefix(cid, bytes.length);
      yield bytes;
    }
    if (scope.dagScope === "block" || codecOf(cid) === "raw") continue;
    if (depth >= limits.dagDepthMax) throw missing(cid);
    let end = at + length;
    for (const child of readFileNode(bytes, length).toReversed()) {
      end -= child.length;
      stack.push({ cid: child.cid, at: end, length: child.length, depth: depth + 1 });
    }
  }
}

function formatOf(url: URL, request: GatewayRequest): Format | undefined {
  const asked = url.searchParams.get("format");
  if (asked !== null) return asked === "raw" || asked === "car" ? asked : undefined;
  const accept = String(request.headers["accept"] ?? "");
  if (accept.includes(mediaTypes.raw)) return "raw";
  return accept.includes(mediaTypes.car) ? "car" : undefined;
}

function carScopeOf(url: URL): CarScope {
  const dagScope = url.searchParams.get("dag-scope") ?? "all";
  if (dagScope !== "block" && dagScope !== "entity" && dagScope !== "all") {
    throw new LakeError("argument-invalid", "dag-scope is block, entity or all.");
  }
  const version = url.searchParams.get("car-version") ?? "1";
  if (version !== "1") throw new LakeError("argument-invalid", "Only CAR version 1 is written.");
  const range = /^(\d{1,15}):(\d{1,15}|\*)$/.exec(url.searchParams.get("entity-bytes") ?? "0:*");
  if (range === null) {
    throw new LakeError("argument-invalid", "entity-bytes is from:to, counted from the start.");
  }
  const [, from = "0", to = "*"] = range;
  return { dagScope, from: Number(from), until: to === "*" ? Infinity : Number(to) + 1 };
}

function immutableHeaders(cid: CID, format: Format): Record<string, string> {
  return {
    "Cache-Control": "public, max-age=29030400, immutable",
    "X-Content-Type-Options": "nosniff",
    "X-Ipfs-Path": `/ipfs/${cid}`,
    "X-Ipfs-Roots": cid.toString(),
    "Access-Control-Allow-Origin": "*",
    ...(format === "car" ? { "Accept-Ranges": "none" } : {}),
    Vary: "Accept",
  };
}

function missing(cid: CID): LakeError {
  return new LakeError("content-missing", `This node does not hold ${cid}.`);
}

function refuse(
  status: number,
  sentence: string,
  headers: Record<string, string> = {},
): GatewayAnswer {
  const body = Buffer.from(sentence + "\n");
  return {
    status,
    headers: {
      ...headers,
      "Content-Type": "text/plain; charset=utf-8",
      "Content-Length": body.length,
      "X-Content-Type-Options": "nosniff",
    },
    body,
  };
}
