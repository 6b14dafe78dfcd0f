import { LakeError } from "@lake-travis/protocol";
import { requireAnswer, unreachable } from "./download-file.ts";
import { fetchJson, readJson } from "./fetch-json.ts";
import type { Finding, RemoteFile } from "./import-model.ts";
import { limits } from "./limits.ts";

interface Reference {
  /** Base URL of the registry. */
  readonly base: string;
  readonly repository: string;
  readonly tag: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

const accept = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

// Ollama's layers have no names; these are what the files are, for us and for other tools.
const ollamaPaths: Readonly<Record<string, string>> = {
  "application/vnd.ollama.image.model": "model.gguf",
  "application/vnd.ollama.image.license": "LICENSE",
  "application/vnd.ollama.image.template": "template.txt",
  "application/vnd.ollama.image.system": "system.txt",
  "application/vnd.ollama.image.params": "params.json",
};

/**
 * Asks a registry by the OCI distribution protocol (`/v2/<repository>/manifests/<tag>`, blobs at
 * `/v2/<repository>/blobs/<digest>`) for a model's files: Ollama's media types, or ModelPack ones
 * with a file path. A registry that wants a token is asked for an anonymous one as its
 * `WWW-Authenticate` says.
 */
export async function findOci(
  scheme: "ollama" | "oci",
  source: string,
  finding: Finding,
): Promise<RemoteFile[]> {
  const reference = parseReference(scheme, source, finding.endpoint);
  const { base, repository, tag } = reference;
  const url = `${base}/v2/${repository}/manifests/${tag}`;
  const { body, authorization } = await fetchManifest(url, reference, finding);
  const layers = (Object(body) as Record<string, unknown>)["layers"];
  if (!Array.isArray(layers) || layers.length > limits.layersMax || !layers.every(isDescriptor)) {
    throw new LakeError("manifest-invalid", `${url} is not the manifest of a model.`);
  }
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  const files = layers.flatMap((layer): RemoteFile[] => {
    const path = pathOf(layer);
    if (path === undefined) return [];
    const digest = layer.digest.slice("sha256:".length);
    const expected = { bytes: layer.size, algorithm: "sha256" as const, digest };
    return [{ path, url: `${base}/v2/${repository}/blobs/${layer.digest}`, headers, expected }];
  });
  return unlikePaths(files);
}

function parseReference(scheme: string, source: string, endpoint: string | undefined): Reference {
  const grammar =
    scheme === "ollama"
      ? /^()((?:[a-z0-9._-]+\/)?[A-Za-z0-9._-]+)(?::([A-Za-z0-9._-]+))?$/
      : /^([A-Za-z0-9.-]+(?::\d+)?)\/([a-z0-9._/-]+)(?::([A-Za-z0-9._-]+))?$/;
  const [, host = "", name = "", tag = "latest"] = grammar.exec(source) ?? [];
  if (name === "" || name.split("/").includes("..")) {
    throw new LakeError("argument-invalid", `"${source}" is not a ${scheme} reference.`, {
      advice: "Write ollama:name[:tag] or oci:host/repository[:tag].",
    });
  }
  const own = scheme === "ollama" ? "https://registry.ollama.ai" : `https://${host}`;
  const repository = scheme === "ollama" && !name.includes("/") ? `library/${name}` : name;
  return { base: (endpoint ?? own).replace(/\/$/, ""), repository, tag };
}

async function fetchManifest(
  url: string,
  reference: Reference,
  finding: Finding,
): Promise<{ body: unknown; authorization: string | undefined }> {
  const given = finding.token === undefined ? undefined : `Bearer ${finding.token}`;
  const first = await ask(url, given, finding.signal);
  if (first.status !== 401 || given !== undefined) {
    requireAnswer(first, url);
    return { body: await readJson(first, url), authorization: given };
  }
  const authorization = await anonymousToken(first, reference, finding.signal);
  const second = await ask(url, authorization, finding.signal);
  requireAnswer(second, url);
  return { body: await readJson(second, url), authorization };
}

async function ask(
  url: string,
  authorization: string | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const timeout = AbortSignal.timeout(limits.importStallMs);
  try {
    return await fetch(url, {
      headers: { Accept: accept, ...(authorization === undefined ? {} : { authorization }) },
      signal: AbortSignal.any([signal, timeout]),
    });
  } catch (error) {
    signal.throwIfAborted();
    throw unreachable(url, error);
  }
}

/** A token as the challenge of a registry says (distribution spec, token authentication). */
async function anonymousToken(
  response: Response,
  reference: Reference,
  signal: AbortSignal,
): Promise<string> {
  const challenge = response.headers.get("www-authenticate") ?? "";
  const words = new Map(
    [...challenge.matchAll(/([a-z]+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
  );
  const realm = URL.parse(words.get("realm") ?? "");
  if (!challenge.startsWith("Bearer ") || realm === null) {
    throw new LakeError("content-missing", "The registry wants a login.", {
      advice: "Give a token by --token-file.",
    });
  }
  realm.searchParams.set("service", words.get("service") ?? "");
  realm.searchParams.set("scope", words.get("scope") ?? `repository:${reference.repository}:pull`);
  const answer = Object(await fetchJson(realm.href, {}, signal)) as Record<string, unknown>;
  const token = answer["token"] ?? answer["access_token"];
  if (typeof token !== "string") {
    throw new LakeError("content-missing", "The registry gave no token.");
  }
  return `Bearer ${token}`;
}

function pathOf(layer: Descriptor): string | undefined {
  const named = layer.annotations?.["org.cncf.model.filepath"];
  if (layer.mediaType.startsWith("application/vnd.cncf.model.")) {
    if (layer.mediaType.endsWith(".raw") && typeof named === "string") return named;
    throw new LakeError("format-refused", `A layer is an archive (${layer.mediaType}).`, {
      advice: "Unpack it with the tool that made it and publish the files.",
    });
  }
  const title = layer.annotations?.["org.opencontainers.image.title"];
  return ollamaPaths[layer.mediaType] ?? (typeof title === "string" ? title : undefined);
}

/** Several licences are usual in Ollama's models: the second becomes LICENSE-2. */
function unlikePaths(files: readonly RemoteFile[]): RemoteFile[] {
  const seen = new Map<string, number>();
  return files.map((file) => {
    const count = (seen.get(file.path) ?? 0) + 1;
    seen.set(file.path, count);
    return count === 1 ? file : { ...file, path: `${file.path}-${count}` };
  });
}

function isDescriptor(value: unknown): value is Descriptor {
  const { mediaType, digest, size, annotations } = Object(value) as Record<string, unknown>;
  return (
    typeof mediaType === "string" &&
    typeof digest === "string" &&
    /^sha256:[0-9a-f]{64}$/.test(digest) &&
    Number.isSafeInteger(size) &&
    (size as number) >= 0 &&
    (annotations === undefined || (typeof annotations === "object" && annotations !== null))
  );
}
