import { parseHandle } from "@lake-travis/protocol";
import { contentIdFromHex } from "../content-id.ts";
import { GatewaySource } from "../gateway-source.ts";
import { readManifest } from "../held-models.ts";
import { limits } from "../limits.ts";
import { parseManifest, type Manifest } from "../manifest.ts";
import type { ModelStore } from "../model-store.ts";
import { resolveVersion } from "../resolve-version.ts";
import type { CommandContext } from "./command-context.ts";
import { formatBytes, formatForeign, formatPrice } from "./format-text.ts";

/** `lake models show`: what the chain, the manifest and the holders say about a handle. */
export async function showModel(
  context: CommandContext,
  store: ModelStore,
  text: string,
  peers: readonly string[],
): Promise<void> {
  const handle = parseHandle(text);
  const names = await context.names({ write: false });
  const version = await resolveVersion(names, handle);
  const history = await names.tagHistory({ name: version.name, tag: handle.tag });
  const told = (await context.holders?.(version.manifestDigest)) ?? [];
  const asked = await askHolders([...new Set([...told, ...peers])], version.manifestCid);
  const manifest = (await readManifest(store, version.manifestDigest)) ?? asked.manifest;
  const { holders } = asked;
  if (context.json) {
    const { builder, kind, manifestDigest, generation } = version;
    const weiPerSecond = version.weiPerSecond.toString();
    const document =
      manifest === undefined
        ? null
        : (JSON.parse(Buffer.from(manifest.bytes).toString()) as object);
    const facts = { name: version.name, tag: handle.tag, kind, builder, weiPerSecond };
    const summary = { ...facts, manifestDigest, generation, history, holders, manifest: document };
    context.stdout.write(`${JSON.stringify(summary)}\n`);
    return;
  }
  const lines = [
    `${version.name}:${handle.tag}  (${version.kind}, generation ${version.generation})`,
    `digest   sha256:${version.manifestDigest.slice(2)}`,
    `cid      ${contentIdFromHex("raw", version.manifestCid)}`,
    `builder  ${version.builder}`,
    `price    ${formatPrice(version.weiPerSecond)} to the Builder`,
    `holders  ${holders.length === 0 ? "none known" : holders.join(", ")}`,
    ...(manifest === undefined ? ["manifest not here: pull it"] : describe(manifest)),
    "history",
    ...history.map(
      ({ manifestDigest, movedAtSeconds }) =>
        `  ${new Date(movedAtSeconds * 1000).toISOString()}  sha256:${manifestDigest.slice(2)}`,
    ),
  ];
  context.stdout.write(`${lines.join("\n")}\n`);
}

function describe(manifest: Manifest): string[] {
  const { facts, layers } = manifest;
  const rows: [string, string | number | undefined][] = [
    ["task", facts.task],
    ["format", facts.format],
    ["arch", facts.architecture],
    ["params", facts.parameters],
    ["quant", facts.quantisation],
    ["context", facts.contextLength],
    ["licence", facts.licence],
    ["title", facts.title],
    ["about", facts.description],
    ["base", facts.baseModel],
    ["engine", facts.needs.engine],
    ["memory", formatBytes(facts.needs.ramBytes)],
  ];
  return [
    ...rows
      .filter(([, value]) => value !== undefined && value !== "")
      .map(([key, value]) => `${key.padEnd(8)} ${formatForeign(String(value))}`),
    "files",
    ...layers.map(
      (layer) => `  ${layer.path}  ${formatBytes(layer.bytes)}  ${layer.role}  ${layer.root}`,
    ),
  ];
}

/** Which of these gateways hold the manifest, and the manifest if one does. */
async function askHolders(
  urls: readonly string[],
  manifestCid: `0x${string}`,
): Promise<{ holders: string[]; manifest: Manifest | undefined }> {
  const cid = contentIdFromHex("raw", manifestCid);
  const holders: string[] = [];
  let manifest: Manifest | undefined;
  const gateways = urls.filter((url) => url.startsWith("http")).slice(0, limits.holdersMax);
  await Promise.all(
    gateways.map(async (url) => {
      const source = new GatewaySource(url);
      const buffer = new Uint8Array(limits.manifestBytesMax);
      try {
        const length = await source.fetch(cid, buffer, AbortSignal.timeout(limits.connectMs));
        const read = parseManifest(buffer.slice(0, length));
        if (!read.cid.equals(cid)) return;
        manifest = read;
        holders.push(source.name);
      } catch {
        // Who cannot be asked or does not have it is not listed; that is the answer.
      } finally {
        await source.close();
      }
    }),
  );
  return { holders, manifest };
}
